/** Leases (Kubernetes' `pkg/apis/coordination/validation`). */
import { objectAt } from '../admission/json-value.ts';
import type { ResourceStrategy } from './resource-strategy.ts';
import type { FieldError } from './status-error.ts';

export const leaseStrategy: ResourceStrategy = {
  countsGenerations: false,
  // A lease taken without looking would have two holders.
  unconditionalUpdate: false,
  createOnUpdate: true,
  marksGracePeriod: false,
  nameRule: 'dns-subdomain',
  validate(lease) {
    const { leaseDurationSeconds, leaseTransitions } = objectAt(lease, 'spec') ?? {};
    const errors: FieldError[] = [];
    if (typeof leaseDurationSeconds === 'number' && leaseDurationSeconds <= 0) {
      errors.push(wrong('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0'));
    }
    if (typeof leaseTransitions === 'number' && leaseTransitions < 0) {
      errors.push(wrong('spec.leaseTransitions', leaseTransitions, 'must be greater than or equal to 0'));
    }
    return errors;
  },
};

function wrong(field: string, value: number, why: string): FieldError {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${value}: ${why}` };
}
