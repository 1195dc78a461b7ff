/** Names that several programs must agree on. */

/** Label keys on our containers and volumes; labels of a container never change. */
export const instanceUidLabel = 'potluck.dev/instance-uid';
/** `namespace/name` of the instance. */
export const instanceLabel = 'potluck.dev/instance';
/** Uid of the provider. */
export const providerLabel = 'potluck.dev/provider';

/** Holds an instance until its agent said that the container is gone. */
export const containerFinalizer = 'potluck.dev/container';

/** Where the controllers keep their leader leases. */
export const systemNamespace = 'potluck-system';
/** Where each provider keeps its lease, under the provider's own name. */
export const providerLeaseNamespace = 'potluck-provider-leases';

/** An agent renews its lease this often, in seconds. */
export const providerLeaseRenewSeconds = 10;
/** A provider whose lease was not renewed for this long, in seconds, is Unknown. */
export const providerLeaseDurationSeconds = 40;

/** Where each gateway keeps its lease, under the gateway's own name. */
export const gatewayLeaseNamespace = 'potluck-gateway-leases';
/** A gateway renews its lease this often, in seconds; not renewed for so long, it is gone. */
export const gatewayLeaseRenewSeconds = 10;
export const gatewayLeaseDurationSeconds = 40;

/** Type of the Secret that has an instance's SSH host key: `key` in OpenSSH's form, `publicKey` as in known_hosts. */
export const hostKeySecretType = 'potluck.dev/ssh-host-key';

/** Users and groups of our own programs, as they stand in client certificates. */
export const mastersGroup = 'system:masters';
export const controllerUser = 'system:potluck-controller';
export const gatewayUser = 'system:potluck-gateway';
export const gatewaysGroup = 'system:potluck-gateways';
export const jumpHostUser = 'system:potluck-jump-host';
export const jumpHostsGroup = 'system:potluck-jump-hosts';
/** What an API server shows to a backend that it forwards to. */
export const apiServerUser = 'system:potluck-apiserver';
export const apiServersGroup = 'system:potluck-apiservers';
export const providersGroup = 'system:providers';
export function providerUser(providerUid: string): string {
  return `system:provider:${providerUid}`;
}
/** Who shows a certificate that ran out and the identity key that it was for. */
export const providerRecoveryGroup = 'system:provider-recovery';
/** Followed by the id of a join token. */
export const bootstrapUserPrefix = 'system:bootstrap:';
export const bootstrappersGroup = 'system:bootstrappers';
/** Where members' ServiceAccounts are, and the Secrets that their tokens are bound to. */
export const memberNamespace = 'potluck-members';
/** On what the pool keeps for a member: the member's name. */
export const memberLabel = 'potluck.dev/member';

/** Signs certificates of providers; docs/identity.md says what of a request counts. */
export const providerSigner = 'potluck.dev/provider';
/** Annotations of a signing request by which a machine joins. */
export const identityKeyAnnotation = 'potluck.dev/identity-key';
export const identitySignatureAnnotation = 'potluck.dev/identity-signature';
export const providerNameAnnotation = 'potluck.dev/provider-name';
export const offerAnnotation = 'potluck.dev/offer';
export const locationAnnotation = 'potluck.dev/location';
/** First line of what the identity key signs in a request to join, and in an answer to a challenge. */
export const joinSignatureContext = 'potluck-join-v1';
export const challengeSignatureContext = 'potluck-identity-v1';
/** HTTP authentication scheme by which a machine shows its identity key. */
export const identityScheme = 'Potluck-Identity';
