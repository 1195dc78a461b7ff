/** What a person reads when a machine cannot join. One text for every reason for which a token is refused: the pool does not say either. */
import { UserError } from '../../api/errors.ts';
import { ApiError } from '../../client/client.ts';
import { unreachable } from './find-authority.ts';
import { RequestPendingError, RequestRefusedError } from './request-certificate.ts';

/** Why ordinary verification failed although the authority was among what the server showed. */
export function explainTlsFailure(server: URL, cause: Error): UserError {
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const remedy = `Use a name that it has, or start the pool with --advertise-address ${server.hostname.replace(/^\[(.*)\]$/, '$1')}`;
    return new UserError('SERVER_NAME_MISMATCH', `the pool's certificate is not for ${server.hostname}`, remedy, { cause });
  }
  if (code === 'CERT_NOT_YET_VALID' || code === 'CERT_HAS_EXPIRED') {
    const what = `the certificate of ${server.host} is ${code === 'CERT_HAS_EXPIRED' ? 'over' : 'not valid yet'}, by this machine's clock`;
    return new UserError('POOL_NOT_TRUSTED', what, 'Set the clock of this machine, or restart the pool, which makes a new one', { cause });
  }
  if (verificationFailures.has(code)) {
    const what = `${server.host} shows the pool's authority, but its own certificate is not signed by it (${code})`;
    const remedy = 'Someone is in between and was told nothing: use another network, and tell the admin of the pool';
    return new UserError('POOL_NOT_TRUSTED', what, remedy, { cause });
  }
  return unreachable(server, cause);
}

/** As OpenSSL calls them, from `X509_V_ERR_` on. */
const verificationFailures: ReadonlySet<string> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_CHAIN_TOO_LONG',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
]);

/** `isFinal`: the same request will never be granted. */
export function explainJoinFailure(error: unknown, { server, requestName }: { server: URL; requestName: string }): JoinFailure {
  if (error instanceof UserError) return { error, isFinal: false };
  if (error instanceof RequestRefusedError) {
    const remedy = 'Ask the admin of the pool, or who gave you the token';
    const verb = error.kind === 'Denied' ? 'denied' : 'could not grant';
    return {
      error: new UserError('JOIN_REFUSED', `the pool ${verb} ${requestName}: ${error.message}`, remedy, { cause: error }),
      isFinal: true,
    };
  }
  if (error instanceof RequestPendingError) {
    const remedy = `Ask an admin to run kubectl certificate approve ${requestName}, then run the same command again: it goes on from here`;
    return { error: new UserError('JOIN_PENDING', error.message, remedy, { cause: error }), isFinal: false };
  }
  if (!(error instanceof ApiError)) return { error: explainTlsFailure(server, error as Error), isFinal: false };
  if (error.code === 401) {
    const remedy = 'It may be mistyped, over, used up or revoked: ask for a new one (potluck token create)';
    return { error: new UserError('TOKEN_REFUSED', 'the pool does not accept the token', remedy, { cause: error }), isFinal: false };
  }
  const remedy = error.code >= 500 || error.code === 429 ? 'Run the same command again in a while' : 'Ask the admin of the pool';
  const what = `the pool did not take ${requestName}: ${error.message}`;
  return { error: new UserError('JOIN_REFUSED', what, remedy, { cause: error }), isFinal: error.code === 400 || error.code === 422 };
}

export interface JoinFailure {
  error: UserError;
  isFinal: boolean;
}
