/** Reads the headers by which a stream is asked for. Pure. */
import {
  epochHeader,
  hopsHeader,
  isStreamKind,
  kindHeader,
  parametersHeader,
  sessionIdHeader,
  streamBounds,
  userHeader,
} from './stream-protocol.ts';
import type { StreamKind } from './stream-protocol.ts';
import { refusalStatus } from './stream-status.ts';
import type { Status } from './status.ts';

/** As Node has them: repeated ones are an array or joined, either of which is refused where one value is due. */
export type Headers = Readonly<Record<string, string | readonly string[] | number | undefined>>;

export interface ReadStreamRequest {
  instanceUid: string;
  epoch: number;
  kind: StreamKind;
  /** JSON that nobody looked at yet. */
  parameters: never;
  sessionId: string;
  user: string;
  hops: number;
}

const uidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const mostUserCharacters = 1024;

/** A refusal is the Status to answer with. */
export type StreamReading = { request: ReadStreamRequest } | { refusal: Status };

/** `kinds` are those that may be asked for; all when absent. */
export function readStreamRequest(headers: Headers, kinds?: readonly StreamKind[]): StreamReading {
  if (sizeOf(headers) > streamBounds.headerBytes) return refusal(431, `the headers are longer than ${streamBounds.headerBytes} bytes`);
  if (headers[':method'] !== 'CONNECT') return bad('the method must be CONNECT');
  const text = (name: string): string => (typeof headers[name] === 'string' ? headers[name] : '');
  const instanceUid = text(':authority');
  if (!uidPattern.test(instanceUid)) return bad(':authority must be the uid of an instance');
  const kind = text(kindHeader);
  if (!isStreamKind(kind)) return bad(`there is no kind of stream ${JSON.stringify(kind.slice(0, 63))}`);
  if (kinds !== undefined && !kinds.includes(kind)) return refusal(403, `a stream of kind ${kind} is not yours to open`);
  const epoch = wholeNumber(text(epochHeader));
  if (epoch === undefined) return bad(`${epochHeader} must be a whole number`);
  const sessionId = text(sessionIdHeader);
  if (!/^[0-9a-f]{32}$/.test(sessionId)) return bad(`${sessionIdHeader} must be 32 hexadecimal digits`);
  const user = readUser(text(userHeader));
  if (user === undefined) return bad(`${userHeader} must be there, percent-encoded`);
  const parameters = readParameters(text(parametersHeader));
  if (parameters === undefined) return bad(`${parametersHeader} must be a JSON object in base64url`);
  const hops = wholeNumber(text(hopsHeader)) ?? 0;
  return { request: { instanceUid, epoch, kind, parameters: parameters as never, sessionId, user, hops } };
}

function bad(message: string): StreamReading {
  return refusal(400, message);
}

function refusal(code: number, message: string): StreamReading {
  return { refusal: refusalStatus(code, message) };
}

function sizeOf(headers: Headers): number {
  let size = 0;
  for (const [name, value] of Object.entries(headers)) size += name.length + String(value).length;
  return size;
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function readUser(text: string): string | undefined {
  try {
    const user = decodeURIComponent(text);
    // No control characters: it goes into logs and events.
    return user === '' || user.length > mostUserCharacters || /\p{Cc}/u.test(user) ? undefined : user;
  } catch {
    return undefined;
  }
}

function readParameters(text: string): object | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (character) => character.charCodeAt(0));
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
