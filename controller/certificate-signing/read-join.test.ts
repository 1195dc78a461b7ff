import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  identityKeyAnnotation,
  identitySignatureAnnotation,
  locationAnnotation,
  offerAnnotation,
  providerNameAnnotation,
} from '../../api/names.ts';
import type { CertificateSigningRequest } from '../../api/resource-type.ts';
import { readJoin } from './read-join.ts';
import { identityKey, identitySignature, readRequest, request, testSigner, tokenId } from './signing-fixtures.ts';

const read = (csr: CertificateSigningRequest): ReturnType<typeof readJoin> => readJoin(csr, readRequest, testSigner);

function annotated(annotations: Record<string, string | undefined>): CertificateSigningRequest {
  const csr = request();
  const all = Object.entries({ ...csr.metadata.annotations, ...annotations }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return { ...csr, metadata: { ...csr.metadata, annotations: Object.fromEntries(all) } };
}

function named(name: string, signedName = name): CertificateSigningRequest {
  const csr = annotated({ [identitySignatureAnnotation]: identitySignature(signedName) });
  return { ...csr, metadata: { ...csr.metadata, name } };
}

describe('readJoin()', () => {
  it('reads a whole request', () => {
    assert.deepEqual(read(annotated({ [locationAnnotation]: '{"region":"eu","latitude":-45.16,"longitude":179.96}' })).join, {
      tokenId,
      identityKey,
      proposedName: 'desk',
      offer: { cpu: '4', memory: '8Gi', disk: '100Gi' },
      location: { region: 'eu', latitude: -45.2, longitude: 180 },
    });
    assert.equal(read(annotated({ [providerNameAnnotation]: undefined })).join?.proposedName, undefined);
  });

  it('binds the request to its token and its name', () => {
    assert.match(read(named('join-other123-0123456789')).problem ?? '', /must be named join-abcd1234-/u);
    assert.match(read(named(`join-${tokenId}-short`)).problem ?? '', /must be named/u);
    assert.match(
      read(named(`join-${tokenId}-0123456789`, `join-${tokenId}-9876543210`)).problem ?? '',
      /is no signature over this request/u,
    );
    assert.ok(read(named(`join-${tokenId}-9876543210`)).join);
  });

  it('refuses a key that no certificate can be for, and usages that are not a client’s', () => {
    assert.equal(readJoin(request(), { ...readRequest, keyProblem: 'too weak' }, testSigner).problem, 'too weak');
    const csr = request();
    for (const usages of [[], ['client auth'], ['client auth', 'digital signature', 'server auth']]) {
      assert.match(read({ ...csr, spec: { ...csr.spec, usages } }).problem ?? '', /spec\.usages must be/u);
    }
  });

  it('takes the identity key in one form only, and its signature over exactly these bytes', () => {
    // 43 characters have two bits more than 32 bytes need.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(identityKey.at(-1) ?? '');
    const twin = identityKey.slice(0, -1) + (alphabet[last + 1] ?? '');
    assert.deepEqual(Buffer.from(twin, 'base64url'), Buffer.from(identityKey, 'base64url'));
    for (const key of [twin, `${identityKey}=`, '', 'A', identityKey.slice(1)]) {
      assert.match(read(annotated({ [identityKeyAnnotation]: key })).problem ?? '', /must be an Ed25519 key/u, key);
    }
    const other = readJoin(request(), { ...readRequest, der: Buffer.from('another') }, testSigner);
    assert.match(other.problem ?? '', /is no signature/u);
    assert.match(read(annotated({ [identitySignatureAnnotation]: undefined })).problem ?? '', /is no signature/u);
  });

  it('says what is wrong with name, offer and location', () => {
    const wrong: [key: string, value: string | undefined, problem: RegExp][] = [
      [providerNameAnnotation, 'Desk', /provider-name: a lowercase RFC 1123 label/u],
      [providerNameAnnotation, 'a'.repeat(64), /provider-name: must be no more than 63/u],
      [offerAnnotation, undefined, /offer is missing/u],
      [offerAnnotation, '[]', /no JSON object/u],
      [offerAnnotation, '{', /no JSON$/u],
      [offerAnnotation, '{}', /must offer 1 to 16 things/u],
      [offerAnnotation, '{"cpu":{}}', /"cpu" is offered by no quantity/u],
      [offerAnnotation, `{"cpu":"${'1'.repeat(33)}"}`, /no quantity/u],
      [locationAnnotation, '{"street":"x"}', /only region, latitude and longitude/u],
      [locationAnnotation, '{"region":1}', /region must be text/u],
      [locationAnnotation, '{"longitude":181}', /from -180 to 180/u],
      [locationAnnotation, '{"latitude":null}', /from -90 to 90/u],
      [locationAnnotation, `"${'x'.repeat(2048)}"`, /more than 2048 characters/u],
    ];
    for (const [key, value, problem] of wrong) assert.match(read(annotated({ [key]: value })).problem ?? '', problem);
  });

  it('never throws and never reads another identity, whatever the annotations say', () => {
    const keys = [identityKeyAnnotation, identitySignatureAnnotation, providerNameAnnotation, offerAnnotation, locationAnnotation];
    const text = fc.oneof(fc.string(), fc.json(), fc.base64String());
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), text), (annotations) => {
        const { join, problem } = read(annotated(annotations));
        assert.equal(join?.identityKey, problem === undefined ? identityKey : undefined);
      }),
    );
  });
});
