/** Condition types and reasons. An event's reason is the reason of the condition that it tells of. */

export const conditionTypes = {
  /** Instance: it runs and its limits hold. Provider: it can take instances. Member: everything that they may do, they can do. */
  ready: 'Ready',
  /** Instance: it has a place. */
  scheduled: 'Scheduled',
  /** Instance: its image is on the provider. The message carries the progress of a pull. */
  imageReady: 'ImageReady',
  /** Instance: the agent removed its container and everything that belonged to it. */
  containerRemoved: 'ContainerRemoved',
  /** Provider: the machine has what its owner offers. */
  offerWithinCapacity: 'OfferWithinCapacity',
  /** Instance: it gets less than its limits, since the machine's owner allows no more. */
  throttled: 'Throttled',
  /** Instance: its disk is nearly full, or full. */
  diskPressure: 'DiskPressure',
  /** Provider: the owner's policy file is as it should be, or there is none. */
  ownerPolicyValid: 'OwnerPolicyValid',
  /** Member: every SSH key can be read. */
  sshKeysValid: 'SSHKeysValid',
} as const;

export const reasons = {
  // Scheduled
  placed: 'Placed',
  noProviderFits: 'NoProviderFits',
  providerWithdrawn: 'ProviderWithdrawn',
  providerGone: 'ProviderGone',
  // ImageReady
  pulling: 'Pulling',
  pulled: 'Pulled',
  present: 'Present',
  imagePullBackOff: 'ImagePullBackOff',
  // Ready (instance)
  waitingForPlacement: 'WaitingForPlacement',
  waitingForAgent: 'WaitingForAgent',
  creating: 'Creating',
  recreating: 'Recreating',
  running: 'Running',
  stopped: 'Stopped',
  completed: 'Completed',
  error: 'Error',
  oomKilled: 'OOMKilled',
  crashLoopBackOff: 'CrashLoopBackOff',
  createFailed: 'CreateFailed',
  /** Kubernetes' own: a secret or a config map that the container needs is missing. */
  createContainerConfigError: 'CreateContainerConfigError',
  engineUnavailable: 'EngineUnavailable',
  wallsDown: 'WallsDown',
  providerLost: 'ProviderLost',
  superseded: 'Superseded',
  /** Also of Throttled, and of events on instances and providers. */
  ownerPolicy: 'OwnerPolicy',
  diskPressure: 'DiskPressure',
  // Throttled
  asDeclared: 'AsDeclared',
  // Ready (provider)
  leaseRenewed: 'LeaseRenewed',
  leaseExpired: 'LeaseExpired',
  noLease: 'NoLease',
  withdrawing: 'Withdrawing',
  withdrawn: 'Withdrawn',
  // OwnerPolicyValid
  policyRead: 'PolicyRead',
  noPolicy: 'NoPolicy',
  policyBroken: 'PolicyBroken',
  // OfferWithinCapacity
  offerFits: 'OfferFits',
  offerCut: 'OfferCut',
  // DiskPressure
  diskFull: 'DiskFull',
  diskAlmostFull: 'DiskAlmostFull',
  diskHasRoom: 'DiskHasRoom',
  // Approved, Denied and Failed (signing requests)
  joinAccepted: 'JoinAccepted',
  renewalAccepted: 'RenewalAccepted',
  tokenSpent: 'TokenSpent',
  invalidRequest: 'InvalidRequest',
  ownerMayNotLend: 'OwnerMayNotLend',
  unknownRequester: 'UnknownRequester',
  providerRevoked: 'ProviderRevoked',
  nameTaken: 'NameTaken',
  identityTaken: 'IdentityTaken',
  signerValidationFailure: 'SignerValidationFailure',
  // Events of joining
  providerJoined: 'ProviderJoined',
  joinWaits: 'JoinWaits',
  // Ready (member)
  provisioned: 'Provisioned',
  namespaceTaken: 'NamespaceTaken',
  namespaceTerminating: 'NamespaceTerminating',
  quotaRefused: 'QuotaRefused',
  // SSHKeysValid
  keysRead: 'KeysRead',
  invalidSshKey: 'InvalidSSHKey',
  // ContainerRemoved
  removed: 'Removed',
} as const;

export type Reason = (typeof reasons)[keyof typeof reasons];
