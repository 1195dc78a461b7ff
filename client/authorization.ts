/** HTTP authentication (RFC 9110, section 11) by something that is neither a certificate nor a token. */
export interface Authorization {
  /** The `Authorization` header of this very request; `path` is with its query, as sent. */
  header(method: string, path: string): string;
  /** Takes the `WWW-Authenticate` header of a 401; answers whether the request is worth sending again, which is done once. */
  challenged(header: string): boolean;
}
