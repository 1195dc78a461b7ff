/** Strategic merge patch, for built-in types (apimachinery `pkg/util/strategicpatch`). */
import type { JsonSchema } from '../admission/structural-schema.ts';
import type { JsonObject } from './json-value.ts';
import { mergePatch } from './merge-patch.ts';

export function strategicMergePatch(target: JsonObject, patch: JsonObject, _schema: JsonSchema): unknown {
  return mergePatch(target, patch);
}
