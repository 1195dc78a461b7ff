/** From the bytes of a body to a value; what the value means is the registry's to say. */
import type { DecodedBody, DecodeOptions } from '../admission/strict-json.ts';
import { decodeStrictJson } from '../admission/strict-json.ts';
import type { Patch, PatchType, ResourceDefinition } from '../registry/resource.ts';
import { StatusError, badRequest } from '../registry/status-error.ts';
import { decodeProtobuf, readsProtobuf } from './kubernetes-protobuf.ts';
import { bodyEncoding } from './negotiate.ts';
import type { YamlDecoder } from './yaml-decoder.ts';

const quotedLength = 30;
/** Arrays, objects, texts, numbers: all that stand in a body. Large definitions of kinds have 20,000 or so. */
const mostValues = 50_000;

export interface RawBody {
  contentType: string | undefined;
  body: Buffer;
}

/** Throws 415 for a form that we do not read, 400 for a body that is not in its form. */
export async function decodeObjectBody(
  definition: ResourceDefinition,
  { contentType, body }: RawBody,
  yaml: YamlDecoder,
  options: DecodeOptions,
): Promise<DecodedBody> {
  const { group, kind, custom } = definition;
  const encoding = bodyEncoding(contentType, readsProtobuf(group, kind));
  if (encoding === 'protobuf') return { value: decodeProtobuf(body), duplicateFields: [] };
  try {
    return bounded(encoding === 'yaml' ? await yaml.decode(body, options) : decodeStrictJson(body, options));
  } catch (error) {
    if (error instanceof StatusError) throw error;
    const text = body.toString('utf8', 0, 4 * quotedLength);
    const start = text.length > quotedLength ? `${text.slice(0, quotedLength)} ...` : text;
    const expected = custom ? `must be of type ${kind}` : `must be a ${kind}`;
    const why = `couldn't get version/kind; ${encoding} parse error: ${messageOf(error)}`;
    throw badRequest(`the object provided is unrecognized (${expected}): ${why} (${start})`);
  }
}

/** An empty body, as many clients send with DELETE, is undefined. */
export async function decodeDeleteBody({ contentType, body }: RawBody, yaml: YamlDecoder): Promise<unknown> {
  if (body.length === 0) return undefined;
  const encoding = bodyEncoding(contentType, true);
  try {
    if (encoding === 'protobuf') return decodeProtobuf(body);
    return (encoding === 'yaml' ? await yaml.decode(body) : decodeStrictJson(body)).value;
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`error decoding delete options: ${messageOf(error)}`);
  }
}

export async function decodePatchBody(
  type: PatchType,
  body: Buffer,
  yaml: YamlDecoder,
  options: DecodeOptions,
): Promise<Pick<Patch, 'type' | 'body'> & { duplicateFields: readonly string[] }> {
  try {
    const { value, duplicateFields } = bounded(type === 'apply' ? await yaml.decode(body, options) : decodeStrictJson(body, options));
    return { type, body: value, duplicateFields };
  } catch (error) {
    if (error instanceof StatusError) throw error;
    throw badRequest(`error decoding ${type === 'apply' ? 'YAML' : 'patch'}: ${messageOf(error)}`);
  }
}

/**
 * The work that a body makes goes with the number of its values rather than with its bytes. Throws 413 for more than any object that can be
 * stored has use for.
 */
function bounded(decoded: DecodedBody): DecodedBody {
  if (countValues(decoded.value, 0) <= mostValues) return decoded;
  const message = `Request entity too large: the limit is ${mostValues} values in one body`;
  throw new StatusError({ message, reason: 'RequestEntityTooLarge', code: 413 });
}

/** Adds the values within `value` to `count`; stops beyond the bound. */
function countValues(value: unknown, count: number): number {
  if (typeof value !== 'object' || value === null) return count + 1;
  let total = count + 1;
  for (const member of Object.values(value)) {
    total = countValues(member, total);
    if (total > mostValues) break;
  }
  return total;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
