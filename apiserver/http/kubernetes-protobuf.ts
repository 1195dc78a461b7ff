/**
 * Bodies in Kubernetes' own protobuf, which kubectl 1.32 and newer send for `create namespace`, `create configmap` and `create secret`. Field
 * numbers are those of k8s.io/api `core/v1/generated.proto` and k8s.io/apimachinery `meta/v1/generated.proto`.
 */
import protobuf from 'protobufjs';
import { badRequest } from '../registry/status-error.ts';

const definition = `
syntax = "proto3";
message Unknown { TypeMeta typeMeta = 1; bytes raw = 2; string contentEncoding = 3; string contentType = 4; }
message TypeMeta { string apiVersion = 1; string kind = 2; }
message Time { int64 seconds = 1; int32 nanos = 2; }
message OwnerReference {
  string kind = 1; string name = 3; string uid = 4; string apiVersion = 5; optional bool controller = 6; optional bool blockOwnerDeletion = 7;
}
message ObjectMeta {
  string name = 1; string generateName = 2; string namespace = 3; string uid = 5; string resourceVersion = 6;
  map<string, string> labels = 11; map<string, string> annotations = 12; repeated OwnerReference ownerReferences = 13;
  repeated string finalizers = 14;
}
message NamespaceSpec { repeated string finalizers = 1; }
message Namespace { ObjectMeta metadata = 1; NamespaceSpec spec = 2; }
message ConfigMap { ObjectMeta metadata = 1; map<string, string> data = 2; map<string, bytes> binaryData = 3; optional bool immutable = 4; }
message Secret {
  ObjectMeta metadata = 1; map<string, bytes> data = 2; string type = 3; map<string, string> stringData = 4; optional bool immutable = 5;
}
message Preconditions { optional string uid = 1; optional string resourceVersion = 2; }
message DeleteOptions {
  optional int64 gracePeriodSeconds = 1; Preconditions preconditions = 2; optional bool orphanDependents = 3;
  optional string propagationPolicy = 4; repeated string dryRun = 5;
}
`;

/** What a kind's message may be in. */
const kinds: Record<string, string> = { Namespace: 'v1', ConfigMap: 'v1', Secret: 'v1' };
const magic = Buffer.from('k8s\0');

let root: protobuf.Root | undefined;

/** The kinds of the core group whose protobuf we read. */
export function readsProtobuf(group: string, kind: string): boolean {
  return group === '' && kind in kinds;
}

/** Answers the object as its JSON would be: byte fields in base64, absent fields absent. Throws 400. */
export function decodeProtobuf(body: Uint8Array): Record<string, unknown> {
  if (!Buffer.from(body.subarray(0, 4)).equals(magic))
    throw badRequest('the object provided is unrecognized: the protobuf prefix is missing');
  try {
    const { typeMeta = {}, raw = new Uint8Array(0) } = decode('Unknown', body.subarray(4)) as Envelope;
    const { apiVersion = '', kind = '' } = typeMeta;
    if (kind !== 'DeleteOptions' && kinds[kind] !== apiVersion) throw badRequest(`no kind ${JSON.stringify(kind)} is read as protobuf`);
    return { apiVersion, kind, ...decode(kind, raw, { bytes: String }) };
  } catch (error) {
    if (error instanceof Error && error.name === 'StatusError') throw error;
    throw badRequest(`the object provided is unrecognized: ${error instanceof Error ? error.message : String(error)}`);
  }
}

interface Envelope {
  typeMeta?: { apiVersion?: string; kind?: string };
  raw?: Uint8Array;
}

/** Byte fields stay as they are unless they are wanted as text, in base64. */
function decode(message: string, bytes: Uint8Array, options: { bytes?: typeof String } = {}): Record<string, unknown> {
  root ??= protobuf.parse(definition, { keepCase: true }).root;
  const type = root.lookupType(message);
  const decoded: unknown = type.toObject(type.decode(bytes), { longs: Number, ...options });
  return withoutEmpty(decoded) as Record<string, unknown>;
}

/** protobufs of Go carry empty texts for absent ones. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value) || value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== '');
  return Object.fromEntries(entries.map(([name, field]) => [name, isTextMap(name) ? field : withoutEmpty(field)]));
}

/** Their values may well be empty. */
function isTextMap(field: string): boolean {
  return ['data', 'stringData', 'binaryData', 'labels', 'annotations'].includes(field);
}
