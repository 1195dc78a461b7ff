/**
 * Who sent a request: by certificate, by token, by an identity key. Users that stand for an object of the pool are believed only while that
 * object is there, and their connections are known, so that they can be ended with it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { UserInfo } from '../registry/resource.ts';
import { reachStore } from '../registry/resource-context.ts';
import { anonymousUser, authenticate } from './authenticate.ts';
import type { Attributes } from './authorize.ts';
import { FreshLook } from './fresh-look.ts';
import { IdentityChallenges, readIdentityHeader, type IdentityClaim } from './identity-challenge.ts';
import { OpenConnections } from './open-connections.ts';
import type { RelationIndex, Subject } from './relations/relation-index.ts';
import { SubjectTokens, type AcceptedToken, type TokenText } from './relations/subject-tokens.ts';
import type { TokenKey } from './service-account-tokens.ts';
import type { TokenAuthenticator } from './token-authenticator.ts';
import { identityScheme } from '../../api/names.ts';

export interface RequestAuthenticatorOptions {
  key: TokenKey;
  index: RelationIndex;
  /** Of ServiceAccounts. */
  tokens: TokenAuthenticator;
  /** Resolves when what was written before is in the caches, within a bounded time. */
  catchUp: () => Promise<void>;
}

export interface SentRequest {
  request: IncomingMessage;
  response: ServerResponse;
  /** What it asks for; throws for a URL that cannot be understood. */
  attributes: () => Attributes;
  /** Milliseconds since the epoch. */
  nowMs: number;
}

export interface Identification {
  /** Absent when what the request shows does not hold: 401. */
  user?: UserInfo;
  /** What a 401 has as `WWW-Authenticate`. */
  challenge?: string;
}

const everybody = 'system:authenticated';

export class RequestAuthenticator {
  readonly #options: RequestAuthenticatorOptions;
  readonly #challenges: IdentityChallenges;
  readonly #subjectTokens: SubjectTokens;
  readonly #fresh: FreshLook;
  readonly #connections = new OpenConnections();

  constructor(options: RequestAuthenticatorOptions) {
    this.#options = options;
    this.#challenges = new IdentityChallenges(options.key);
    this.#subjectTokens = new SubjectTokens(options.index);
    this.#fresh = new FreshLook(() => reachStore(options.catchUp));
  }

  /** Ends the user's connections. Answers how many there were. */
  cut(user: string): number {
    return this.#connections.cut(user);
  }

  async identify(sent: SentRequest): Promise<Identification> {
    const { request, nowMs } = sent;
    const user = authenticate(request.socket as TLSSocket, nowMs);
    if (user === undefined) return {};
    // A certificate goes before everything else.
    if (user !== anonymousUser) return this.#believe(user, sent);
    const { authorization } = request.headers;
    if (authorization === undefined) return { user };
    const claim = readIdentityHeader(authorization);
    if (claim !== undefined) return claim === 'malformed' ? {} : this.#identifyByKey(claim, sent);
    const token = /^bearer +([^ ]+) *$/iu.exec(authorization)?.[1];
    // Who shows something that nobody knows is not nobody, but somebody who cannot be believed.
    return token === undefined ? {} : this.#identifyByToken(token, sent);
  }

  async #identifyByToken(token: string, sent: SentRequest): Promise<Identification> {
    const text = this.#subjectTokens.read(token);
    if (text !== undefined) return this.#acceptToken(text, sent);
    const identity = await this.#options.tokens.authenticate(token, sent.nowMs);
    return identity === undefined ? {} : this.#believe(identity.user, sent);
  }

  /** Every refusal comes after a second look, so that none is quicker than another. */
  async #acceptToken(text: TokenText, sent: SentRequest): Promise<Identification> {
    let accepted = this.#judgeToken(text, sent);
    if (accepted === undefined) {
      await this.#fresh.look();
      accepted = this.#judgeToken(text, sent);
    }
    if (accepted === undefined) return {};
    const { type, key } = accepted.subject;
    return this.#admit({ name: type.userPrefix + key, groups: [type.group, everybody] }, accepted.subject, sent);
  }

  #judgeToken(text: TokenText, { attributes, nowMs }: SentRequest): AcceptedToken | undefined {
    const accepted = this.#subjectTokens.judge(text, nowMs);
    if (accepted?.allowsOnly === undefined) return accepted;
    try {
      const asked = attributes();
      return asked.kind === 'resource' && accepted.allowsOnly(asked) ? accepted : undefined;
    } catch {
      // To a token that is spent, what cannot be understood is one more thing that it does not open.
      return undefined;
    }
  }

  async #identifyByKey(claim: IdentityClaim, sent: SentRequest): Promise<Identification> {
    const { request, nowMs } = sent;
    // Any key is given a challenge: whether it is somebody's is told to nobody but its owner.
    if (claim.answer === undefined) return { challenge: `${identityScheme} challenge="${this.#challenges.issue(claim.key, nowMs)}"` };
    const { method = '', url = '' } = request;
    if (!this.#challenges.holds(claim, { method, target: url }, nowMs)) return {};
    const { index } = this.#options;
    let subject = index.findByIdentity(claim.key);
    if (subject === undefined) {
      await this.#fresh.look();
      subject = index.findByIdentity(claim.key);
    }
    const recovery = subject?.type.recovery;
    if (subject === undefined || recovery === undefined) return {};
    return this.#admit({ name: subject.type.userPrefix + subject.key, groups: [recovery.group, everybody] }, subject, sent);
  }

  /** A user whose proof holds, and who, where they stand for an object, is believed while it is there. */
  async #believe(user: UserInfo, sent: SentRequest): Promise<Identification> {
    const { index } = this.#options;
    const name = index.split(user.name);
    if (name === undefined) return { user };
    let subject = index.find(name);
    if (subject === undefined) {
      // Another server may have made it a moment ago.
      await this.#fresh.look();
      subject = index.find(name);
    }
    return subject?.alive === true ? this.#admit(user, subject, sent) : {};
  }

  /** In the turn in which the subject was found: what ends it ends this connection too. */
  #admit(user: UserInfo, { type, name }: Subject, { request, response }: SentRequest): Identification {
    this.#connections.note(user.name, request.socket, response);
    if (type.nameExtra === undefined) return { user };
    return { user: { ...user, extra: { ...user.extra, [type.nameExtra]: [name] } } };
  }
}
