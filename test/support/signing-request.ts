/** A PKCS#10 request as openssl makes it. */
import { execFileSync } from 'node:child_process';

let request: string | undefined;

/** Base64 of the PEM, as `spec.request` has it; the same one for the whole run. */
export function newSigningRequest(): string {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', '/dev/null'];
  request ??= execFileSync('openssl', ['req', '-new', ...key, '-subj', '/CN=anything'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString(
    'base64',
  );
  return request;
}
