/** Rules of quotas, after Kubernetes' `pkg/apis/core/validation` ValidateResourceQuota. */
import { qualifiedNameProblems } from '../../../api/name-rules.ts';
import { formatQuantity, isQuantity, isWholeQuantity, parseQuantity, signOfQuantity } from '../../../api/quantity.ts';
import type { ResourceStrategy } from '../../registry/resource-strategy.ts';
import type { FieldError } from '../../registry/status-error.ts';
import { invalidValue } from '../field-errors.ts';
import { objectAt, type JsonObject } from '../json-value.ts';

export const resourceQuotaStrategy: ResourceStrategy = {
  countsGenerations: false,
  unconditionalUpdate: true,
  createOnUpdate: false,
  marksGracePeriod: false,
  nameRule: 'dns-subdomain',
  decode(quota) {
    for (const [part, field] of amountFields) canonicalize(objectAt(quota, part), field);
  },
  prepareForCreate(quota) {
    quota['status'] = {};
  },
  validate: (quota) =>
    amountFields.flatMap(([part, field]) => amountErrors(objectAt(objectAt(quota, part) ?? {}, field), `${part}.${field}`)),
};

const amountFields = [
  ['spec', 'hard'],
  ['status', 'hard'],
  ['status', 'used'],
] as const;

/** As Kubernetes writes quantities; what is none stays for validation to refuse. */
function canonicalize(part: JsonObject | undefined, field: string): void {
  const amounts = part === undefined ? undefined : objectAt(part, field);
  if (amounts === undefined) return;
  for (const [name, amount] of Object.entries(amounts)) {
    const isAmount = (typeof amount === 'string' || typeof amount === 'number') && isQuantity(amount);
    if (isAmount) amounts[name] = formatQuantity(parseQuantity(amount));
  }
}

function amountErrors(amounts: JsonObject | undefined, field: string): FieldError[] {
  return Object.entries(amounts ?? {}).flatMap(([name, amount]) => {
    const place = `${field}[${name}]`;
    const errors = qualifiedNameProblems(name).map((problem) => invalidValue(place, name, problem));
    if ((typeof amount !== 'string' && typeof amount !== 'number') || !isQuantity(amount)) {
      return [...errors, invalidValue(place, amount, 'must be a quantity')];
    }
    const quantity = parseQuantity(amount);
    if (signOfQuantity(quantity) < 0) errors.push(invalidValue(place, amount, 'must be greater than or equal to 0'));
    const isCount = name.startsWith('count/') || !name.includes('.');
    if (isCount && !isWholeQuantity(quantity)) errors.push(invalidValue(place, amount, 'must be an integer'));
    return errors;
  });
}
