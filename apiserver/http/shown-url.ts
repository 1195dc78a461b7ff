/** A request's URL as logs have it: what somebody runs in an instance is theirs, and may have a password in it. Pure. */

const commandParameter = /([?&]command=)[^&]*/gu;

export function shownUrl(url: string): string {
  return url.includes('command=') ? url.replaceAll(commandParameter, '$1') : url;
}
