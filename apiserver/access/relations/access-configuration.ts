/** Reads the file that says which users stand for which objects, and what those may touch. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Ajv, type ErrorObject } from 'ajv';
import { parseAllDocuments } from 'yaml';
import { UserError } from '../../../api/errors.ts';
import { accessConfigurationSchema, type AccessConfiguration, type SubjectConfiguration } from './access-configuration-schema.ts';

export const accessFile = join(import.meta.dirname, '../../../manifests/access.yaml');

const mostBytes = 1024 * 1024;
const remedy = 'Correct it; docs/decisions/0007-relationships.md says what each field means';

/** Throws `BAD_ARGUMENT` that names the file, the place in it, and what is wrong there. */
export async function readAccessConfiguration(file = accessFile): Promise<AccessConfiguration> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const what = `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    throw new UserError('BAD_ARGUMENT', what, 'Name a file with --access-config, or leave it out', { cause: error });
  }
  return parseAccessConfiguration(text, file);
}

export function parseAccessConfiguration(text: string, file: string): AccessConfiguration {
  const value = decode(text, file);
  const validate = new Ajv({ allErrors: false, strict: true }).compile<AccessConfiguration>(accessConfigurationSchema);
  if (!validate(value)) {
    const [error] = validate.errors ?? [];
    throw wrong(file, error === undefined ? '' : placeOf(error), error === undefined ? 'is invalid' : complaint(error));
  }
  for (const [index, subject] of value.subjects.entries()) checkSubject(subject, `subjects[${index}]`, file);
  checkUsers(value.subjects, file);
  return value;
}

function decode(text: string, file: string): unknown {
  if (Buffer.byteLength(text) > mostBytes) throw wrong(file, '', `is larger than ${mostBytes} bytes`);
  const documents = parseAllDocuments(text);
  const [document] = documents;
  if (document === undefined || documents.length !== 1) throw wrong(file, '', 'must hold one YAML document');
  const [problem] = document.errors;
  if (problem !== undefined) throw wrong(file, '', `is no YAML: ${problem.message.split('\n')[0] ?? ''}`);
  try {
    return document.toJS() as unknown;
  } catch (error) {
    // Aliases that would grow beyond all bounds.
    throw wrong(file, '', error instanceof Error ? error.message : String(error));
  }
}

/** `/subjects/0/rules` as people write it: `subjects[0].rules`. */
function placeOf({ instancePath }: ErrorObject): string {
  return instancePath
    .slice(1)
    .split('/')
    .map((part) => (/^\d+$/u.test(part) ? `[${part}]` : `.${part.replaceAll('~1', '/').replaceAll('~0', '~')}`))
    .join('')
    .replace(/^\./u, '');
}

function complaint({ keyword, params, message = 'is invalid' }: ErrorObject): string {
  const { additionalProperty, allowedValue, allowedValues } = params as Record<string, unknown>;
  switch (keyword) {
    case 'additionalProperties':
      return `has ${JSON.stringify(additionalProperty)}, which is no field`;
    case 'const':
      return `must be ${JSON.stringify(allowedValue)}`;
    case 'enum':
      return `must be one of ${(allowedValues as unknown[]).map((value) => JSON.stringify(value)).join(', ')}`;
    default:
      return message;
  }
}

/** What a schema does not say: that what one field speaks of is there. */
function checkSubject({ rules }: SubjectConfiguration, place: string, file: string): void {
  const related = new Set(rules.flatMap(({ where, resources }) => (where === undefined ? [] : resources)));
  for (const [index, rule] of rules.entries()) {
    const at = `${place}.rules[${index}]`;
    const { named, where, whereUser, namespacesOf, namespaces, names } = rule;
    if (named === undefined && where === undefined && whereUser === undefined && namespacesOf === undefined) {
      throw wrong(file, at, 'says no relation: one of named, where, whereUser, namespacesOf');
    }
    if (names !== undefined && where === undefined)
      throw wrong(file, `${at}.names`, 'needs where: what names others must be related itself');
    if (namespaces !== undefined && namespacesOf === undefined) throw wrong(file, `${at}.namespaces`, 'needs namespacesOf');
    if (namespacesOf !== undefined && !related.has(namespacesOf)) {
      throw wrong(file, `${at}.namespacesOf`, `is ${JSON.stringify(namespacesOf)}, which no rule of the subject has with where`);
    }
  }
}

/** Whoever a user stands for must be told by the name alone. */
function checkUsers(subjects: readonly SubjectConfiguration[], file: string): void {
  for (const [index, { userPrefix, token }] of subjects.entries()) {
    for (const other of subjects.slice(0, index)) {
      if (userPrefix.startsWith(other.userPrefix) || other.userPrefix.startsWith(userPrefix)) {
        throw wrong(file, `subjects[${index}].userPrefix`, `cannot be told from ${JSON.stringify(other.userPrefix)}`);
      }
      if (token !== undefined && token.prefix === other.token?.prefix) {
        throw wrong(file, `subjects[${index}].token.prefix`, `is ${JSON.stringify(token.prefix)}, as that of another subject`);
      }
    }
  }
}

function wrong(file: string, place: string, what: string): UserError {
  return new UserError('BAD_ARGUMENT', `${file}${place === '' ? '' : `: ${place}`} ${what}`, remedy);
}
