/** JSON patch, RFC 6902, with Kubernetes' limits and answers (k8s.io/apiserver `pkg/endpoints/handlers/patch.go`). */
import fastJsonPatch, { type Operation } from 'fast-json-patch';
import { cloneJson, isObject, type JsonObject } from '../admission/json-value.ts';
import { badRequest, StatusError } from './status-error.ts';

const maxOperations = 10_000;
/** Characters of JSON that all `copy` operations of one patch may add together. */
const maxCopied = 3 * 1024 * 1024;
const operationNames = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

/** A changed copy of `target`. 400 for what is no patch, 413 for too many operations, 422 for one that does not apply. */
export function jsonPatch(target: JsonObject, body: unknown): unknown {
  const operations = checkOperations(body);
  let document: unknown = cloneJson(target);
  let copied = 0;
  operations.forEach((operation, index) => {
    if (operation.op === 'copy') {
      copied += sizeAt(document, operation.from);
      if (copied > maxCopied) throw doesNotApply();
    }
    try {
      // The operation's value is put into the document as it is: a copy, since the patch may be applied again.
      document = fastJsonPatch.applyOperation(document, cloneJson(operation), true, true, true, index).newDocument;
    } catch {
      throw doesNotApply();
    }
  });
  return document;
}

function checkOperations(body: unknown): Operation[] {
  if (!Array.isArray(body)) throw badRequest('error decoding patch: a JSON patch is an array of operations');
  if (body.length > maxOperations) {
    throw new StatusError({
      message: `The allowed maximum operations in a JSON patch is ${maxOperations}, got ${body.length}`,
      reason: 'RequestEntityTooLarge',
      code: 413,
    });
  }
  for (const operation of body as unknown[]) {
    if (!isObject(operation)) throw badRequest('error decoding patch: an operation of a JSON patch is an object');
    const { op, path, from } = operation;
    if (typeof op !== 'string' || !operationNames.has(op)) {
      throw badRequest(`invalid operation ${JSON.stringify(operation)}: unsupported operation`);
    }
    if (typeof path !== 'string') throw badRequest(`invalid operation ${JSON.stringify(operation)}: path is missing`);
    if ((op === 'move' || op === 'copy') && typeof from !== 'string') {
      throw badRequest(`invalid operation ${JSON.stringify(operation)}: from is missing`);
    }
  }
  return body as Operation[];
}

function sizeAt(document: unknown, pointer: string): number {
  try {
    return (JSON.stringify(fastJsonPatch.getValueByPointer(document, pointer)) as string | undefined)?.length ?? 0;
  } catch {
    throw doesNotApply();
  }
}

/** Kubernetes says no more than this of a patch that does not fit the object. */
function doesNotApply(): StatusError {
  return new StatusError({
    message: 'the server rejected our request due to an error in our request',
    reason: 'Invalid',
    details: {},
    code: 422,
  });
}
