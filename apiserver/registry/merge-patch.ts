/** JSON merge patch, RFC 7386. */
import { cloneJson, isObject, setKey, type JsonObject } from '../admission/json-value.ts';

/** `target` with `patch` applied: null removes, objects merge, everything else replaces. Neither argument is changed or shared. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return cloneJson(patch);
  const result: JsonObject = {};
  if (isObject(target)) {
    for (const key of Object.keys(target)) if (!Object.hasOwn(patch, key)) setKey(result, key, cloneJson(target[key]));
  }
  for (const key of Object.keys(patch)) {
    const change = patch[key];
    if (change === null) continue;
    const before = isObject(target) && Object.hasOwn(target, key) ? target[key] : undefined;
    setKey(result, key, mergePatch(before, change));
  }
  return result;
}
