/**
 * Bodies in Kubernetes' own protobuf, which kubectl 1.32 and newer send for `create namespace|configmap|secret|token`, `auth` and
 * `certificate`. Field numbers are those of `generated.proto` in k8s.io/api (`core`, `authentication`, `authorization`, `rbac`, `certificates`)
 * and in k8s.io/apimachinery `meta/v1`.
 */
import protobuf from 'protobufjs';
import { formatTime } from '../../api/time.ts';
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
message ObjectReference {
  string kind = 1; string namespace = 2; string name = 3; string uid = 4; string apiVersion = 5; string resourceVersion = 6; string fieldPath = 7;
}
message LocalObjectReference { string name = 1; }
message ServiceAccount {
  ObjectMeta metadata = 1; repeated ObjectReference secrets = 2; repeated LocalObjectReference imagePullSecrets = 3;
  optional bool automountServiceAccountToken = 4;
}
message ResourceAttributes {
  string namespace = 1; string verb = 2; string group = 3; string version = 4; string resource = 5; string subresource = 6; string name = 7;
}
message NonResourceAttributes { string path = 1; string verb = 2; }
message ExtraValue { repeated string items = 1; }
message SubjectAccessReviewSpec {
  ResourceAttributes resourceAttributes = 1; NonResourceAttributes nonResourceAttributes = 2; string user = 3; repeated string groups = 4;
  map<string, ExtraValue> extra = 5; string uid = 6;
}
message SubjectAccessReview { ObjectMeta metadata = 1; SubjectAccessReviewSpec spec = 2; }
message LocalSubjectAccessReview { ObjectMeta metadata = 1; SubjectAccessReviewSpec spec = 2; }
message SelfSubjectAccessReview { ObjectMeta metadata = 1; SubjectAccessReviewSpec spec = 2; }
message SelfSubjectRulesReviewSpec { string namespace = 1; }
message SelfSubjectRulesReview { ObjectMeta metadata = 1; SelfSubjectRulesReviewSpec spec = 2; }
message SelfSubjectReview { ObjectMeta metadata = 1; }
message TokenReviewSpec { string token = 1; repeated string audiences = 2; }
message TokenReview { ObjectMeta metadata = 1; TokenReviewSpec spec = 2; }
message BoundObjectReference { string kind = 1; string apiVersion = 2; string name = 3; string uid = 4; }
message TokenRequestSpec { repeated string audiences = 1; BoundObjectReference boundObjectRef = 3; optional int64 expirationSeconds = 4; }
message TokenRequest { ObjectMeta metadata = 1; TokenRequestSpec spec = 2; }
message PolicyRule {
  repeated string verbs = 1; repeated string apiGroups = 2; repeated string resources = 3; repeated string resourceNames = 4;
  repeated string nonResourceURLs = 5;
}
message LabelSelectorRequirement { string key = 1; string operator = 2; repeated string values = 3; }
message LabelSelector { map<string, string> matchLabels = 1; repeated LabelSelectorRequirement matchExpressions = 2; }
message AggregationRule { repeated LabelSelector clusterRoleSelectors = 1; }
message Role { ObjectMeta metadata = 1; repeated PolicyRule rules = 2; }
message ClusterRole { ObjectMeta metadata = 1; repeated PolicyRule rules = 2; AggregationRule aggregationRule = 3; }
message Subject { string kind = 1; string apiGroup = 2; string name = 3; string namespace = 4; }
message RoleRef { string apiGroup = 1; string kind = 2; string name = 3; }
message RoleBinding { ObjectMeta metadata = 1; repeated Subject subjects = 2; RoleRef roleRef = 3; }
message ClusterRoleBinding { ObjectMeta metadata = 1; repeated Subject subjects = 2; RoleRef roleRef = 3; }
message CertificateSigningRequestSpec {
  bytes request = 1; string username = 2; string uid = 3; repeated string groups = 4; repeated string usages = 5;
  map<string, ExtraValue> extra = 6; string signerName = 7; optional int32 expirationSeconds = 8;
}
message CertificateSigningRequestCondition {
  string type = 1; string reason = 2; string message = 3; Time lastUpdateTime = 4; Time lastTransitionTime = 5; string status = 6;
}
message CertificateSigningRequestStatus { repeated CertificateSigningRequestCondition conditions = 1; bytes certificate = 2; }
message CertificateSigningRequest { ObjectMeta metadata = 1; CertificateSigningRequestSpec spec = 2; CertificateSigningRequestStatus status = 3; }
message Preconditions { optional string uid = 1; optional string resourceVersion = 2; }
message DeleteOptions {
  optional int64 gracePeriodSeconds = 1; Preconditions preconditions = 2; optional bool orphanDependents = 3;
  optional string propagationPolicy = 4; repeated string dryRun = 5;
}
`;

/** What a kind's message may be in. */
const kinds: Record<string, string> = {
  Namespace: 'v1',
  ConfigMap: 'v1',
  Secret: 'v1',
  ServiceAccount: 'v1',
  SubjectAccessReview: 'authorization.k8s.io/v1',
  LocalSubjectAccessReview: 'authorization.k8s.io/v1',
  SelfSubjectAccessReview: 'authorization.k8s.io/v1',
  SelfSubjectRulesReview: 'authorization.k8s.io/v1',
  SelfSubjectReview: 'authentication.k8s.io/v1',
  TokenReview: 'authentication.k8s.io/v1',
  TokenRequest: 'authentication.k8s.io/v1',
  Role: 'rbac.authorization.k8s.io/v1',
  ClusterRole: 'rbac.authorization.k8s.io/v1',
  RoleBinding: 'rbac.authorization.k8s.io/v1',
  ClusterRoleBinding: 'rbac.authorization.k8s.io/v1',
  CertificateSigningRequest: 'certificates.k8s.io/v1',
};
const magic = Buffer.from('k8s\0');

let root: protobuf.Root | undefined;

/** The kinds whose protobuf we read, of built-in types only. */
export function readsProtobuf(group: string, kind: string): boolean {
  return Object.hasOwn(kinds, kind) && kinds[kind] === (group === '' ? 'v1' : `${group}/v1`);
}

/** Answers the object as its JSON would be: byte fields in base64, absent fields absent. Throws 400. */
export function decodeProtobuf(body: Uint8Array): Record<string, unknown> {
  if (!Buffer.from(body.subarray(0, 4)).equals(magic))
    throw badRequest('the object provided is unrecognized: the protobuf prefix is missing');
  try {
    const { typeMeta = {}, raw = new Uint8Array(0) } = decode('Unknown', body.subarray(4)) as Envelope;
    const { apiVersion = '', kind = '' } = typeMeta;
    if (kind !== 'DeleteOptions' && kinds[kind] !== apiVersion) throw badRequest(`no kind ${JSON.stringify(kind)} is read as protobuf`);
    return { apiVersion, kind, ...plainExtra(decode(kind, raw, { bytes: String })) };
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
  // Texts in lists stay: the core group is one.
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value;
  const entries = Object.entries(value).filter(([, field]) => field !== '');
  return Object.fromEntries(entries.map(([name, field]) => [name, plainField(name, field)]));
}

function plainField(name: string, field: unknown): unknown {
  if (isTextMap(name)) return field;
  return name.endsWith('Time') ? timeText(field as ProtobufTime) : withoutEmpty(field);
}

interface ProtobufTime {
  seconds?: number;
}

/** Go writes a time that is not set as an empty message. */
function timeText({ seconds = 0 }: ProtobufTime): string | null {
  return seconds === 0 ? null : formatTime(seconds * 1000);
}

/** Their values may well be empty. */
function isTextMap(field: string): boolean {
  return ['data', 'stringData', 'binaryData', 'labels', 'annotations', 'matchLabels'].includes(field);
}

/** What is known of a user besides: a map of lists in JSON, of messages with a list in protobuf. */
function plainExtra(object: Record<string, unknown>): Record<string, unknown> {
  const spec = object['spec'] as { extra?: Record<string, { items?: string[] }> } | undefined;
  if (spec?.extra === undefined) return object;
  const extra = Object.fromEntries(Object.entries(spec.extra).map(([key, { items = [] }]) => [key, items]));
  return { ...object, spec: { ...spec, extra } };
}
