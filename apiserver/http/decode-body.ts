/** From the bytes of a body to a value; what the value means is the registry's to say. */
import { decodeYaml } from '../admission/decode-yaml.ts';
import type { DecodedBody, DecodeOptions } from '../admission/strict-json.ts';
import { decodeStrictJson } from '../admission/strict-json.ts';
import type { Patch, PatchType, ResourceDefinition } from '../registry/resource.ts';
import { badRequest } from '../registry/status-error.ts';
import { decodeProtobuf, readsProtobuf } from './kubernetes-protobuf.ts';
import { bodyEncoding } from './negotiate.ts';

const quotedLength = 30;

/** Throws 415 for a form that we do not read, 400 for a body that is not in its form. */
export function decodeObjectBody(
  definition: ResourceDefinition,
  contentType: string | undefined,
  body: Buffer,
  options: DecodeOptions,
): DecodedBody {
  const { group, kind, custom } = definition;
  const encoding = bodyEncoding(contentType, readsProtobuf(group, kind));
  if (encoding === 'protobuf') return { value: decodeProtobuf(body), duplicateFields: [] };
  try {
    return encoding === 'yaml' ? decodeYaml(body, options) : decodeStrictJson(body, options);
  } catch (error) {
    const text = body.toString('utf8');
    const start = text.length > quotedLength ? `${text.slice(0, quotedLength)} ...` : text;
    const expected = custom ? `must be of type ${kind}` : `must be a ${kind}`;
    const why = `couldn't get version/kind; ${encoding} parse error: ${messageOf(error)}`;
    throw badRequest(`the object provided is unrecognized (${expected}): ${why} (${start})`);
  }
}

/** An empty body, as many clients send with DELETE, is undefined. */
export function decodeDeleteBody(contentType: string | undefined, body: Buffer): unknown {
  if (body.length === 0) return undefined;
  const encoding = bodyEncoding(contentType, true);
  try {
    if (encoding === 'protobuf') return decodeProtobuf(body);
    return (encoding === 'yaml' ? decodeYaml(body) : decodeStrictJson(body)).value;
  } catch (error) {
    throw badRequest(`error decoding delete options: ${messageOf(error)}`);
  }
}

export function decodePatchBody(
  type: PatchType,
  body: Buffer,
  options: DecodeOptions,
): Pick<Patch, 'type' | 'body'> & { duplicateFields: readonly string[] } {
  try {
    const { value, duplicateFields } = type === 'apply' ? decodeYaml(body, options) : decodeStrictJson(body, options);
    return { type, body: value, duplicateFields };
  } catch (error) {
    throw badRequest(`error decoding ${type === 'apply' ? 'YAML' : 'patch'}: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
