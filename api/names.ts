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

/** Users and groups of our own programs, as they stand in client certificates. */
export const mastersGroup = 'system:masters';
export const controllerUser = 'system:potluck-controller';
export const providersGroup = 'system:providers';
export function providerUser(providerUid: string): string {
  return `system:provider:${providerUid}`;
}
