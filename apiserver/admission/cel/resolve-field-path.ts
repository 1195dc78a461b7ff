/** The `fieldPath` of a rule: `.foo`, `.foo.bar`, `['x-y']`, `.map['key']`; it must exist in the schema. */
import type { JsonSchema } from '../structural-schema.ts';

/** One step: `.name` or `['name']`. */
const stepExpression = /\.([A-Za-z_][A-Za-z0-9_]*)|\['((?:[^'\\]|\\.)+)'\]/y;

/** What is appended to a value's path; empty where there is no fieldPath, undefined where it is wrong. */
export function resolveFieldPath(fieldPath: string | undefined, schema: JsonSchema): string | undefined {
  if (fieldPath === undefined || fieldPath === '') return '';
  let resolved = '';
  let current = schema;
  stepExpression.lastIndex = 0;
  while (stepExpression.lastIndex < fieldPath.length) {
    const match = stepExpression.exec(fieldPath);
    const name = match?.[1] ?? match?.[2]?.replaceAll(/\\(.)/g, '$1');
    if (name === undefined) return undefined;
    const property = current.properties !== undefined && Object.hasOwn(current.properties, name) ? current.properties[name] : undefined;
    if (property !== undefined) {
      resolved += `.${name}`;
      current = property;
    } else if (typeof current.additionalProperties === 'object') {
      resolved += `[${name}]`;
      current = current.additionalProperties;
    } else {
      return undefined;
    }
  }
  return resolved;
}
