import assert from 'node:assert/strict';
import fc from 'fast-check';
import { UserError } from '../../api/errors.ts';
import { defineCommand } from './command.ts';
import { formatCommandHelp, formatOverview } from './format-help.ts';
import { formatTable } from './format-table.ts';
import { nearestName } from './nearest-name.ts';
import { parseFlags } from './parse-flags.ts';

const flags = {
  listen: { type: 'string', value: 'HOST:PORT', default: '0.0.0.0:6443', description: 'where to listen' },
  owner: { type: 'string', value: 'NAME', description: 'who lends' },
  output: { type: 'string', value: 'FORMAT', short: 'o', choices: ['json', 'text'], description: 'form of the answer' },
  purge: { type: 'boolean', description: 'removes everything' },
  example: { type: 'boolean', negatable: true, description: 'without the example' },
} as const;

function complaint(...args: string[]): string {
  try {
    parseFlags('up', flags, args);
  } catch (error) {
    assert.ok(error instanceof UserError);
    return error.toString();
  }
  return '';
}

describe('the command line', () => {
  it('answers defaults where nothing is given', () => {
    assert.deepEqual(parseFlags('up', flags, []), {
      listen: '0.0.0.0:6443',
      owner: undefined,
      output: undefined,
      purge: false,
      example: true,
    });
  });

  it('reads values with and without =, short flags, and no-', () => {
    const values = parseFlags('up', flags, ['--listen=:0', '--owner', 'alan', '-o', 'json', '--purge', '--no-example']);
    assert.deepEqual(values, { listen: ':0', owner: 'alan', output: 'json', purge: true, example: false });
  });

  it('names the nearest flag when one does not exist', () => {
    assert.match(complaint('--lisen', ':0'), /^PLK010 potluck up: up has no flag --lisen\. Did you mean --listen\?$/);
    assert.match(complaint('--no-exmple'), /Did you mean --no-example\?/);
    assert.match(complaint('--zzzzzz'), /potluck up --help/);
    assert.match(complaint('--no-purge'), /no flag --no-purge/);
  });

  it('says what is wrong with a value', () => {
    assert.match(complaint('--owner'), /--owner needs a value/);
    assert.match(complaint('--owner', '--purge'), /--owner needs a value/);
    assert.match(complaint('--output', 'xml'), /cannot be "xml"\. It is one of json, text/);
    assert.match(complaint('--purge=yes'), /--purge takes no value/);
    assert.match(complaint('extra'), /takes no argument, and got "extra"/);
  });

  it('throws nothing but UserError, whatever the arguments are', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.constantFrom('--listen', '-o', '--', '-', '--no-', '--=', '--purge'))), (args) => {
        complaint(...args);
      }),
    );
  });

  it('shows every flag in its help', () => {
    const help = formatCommandHelp(defineCommand({ name: 'up', summary: 'starts', flags, run: () => Promise.resolve(0) }));
    for (const name of [
      '--listen HOST:PORT',
      '-o, --output FORMAT',
      '--purge',
      '--no-example',
      '-h, --help',
      'default 0.0.0.0:6443',
      'json or text',
    ]) {
      assert.ok(help.includes(name), name);
    }
    assert.match(
      formatOverview([defineCommand({ name: 'up', summary: 'starts', flags, run: () => Promise.resolve(0) })]),
      / {2}up {2}starts/,
    );
  });

  it('guesses near names only', () => {
    assert.equal(nearestName('statsu', ['up', 'status', 'down']), 'status');
    assert.equal(nearestName('serv', ['server', 'status']), 'server');
    assert.equal(nearestName('banana', ['up', 'status', 'down']), undefined);
  });

  it('aligns columns', () => {
    assert.equal(
      formatTable(
        ['NAME', 'PHASE'],
        [
          ['hello', 'Running'],
          ['a', ''],
        ],
      ),
      'NAME    PHASE\nhello   Running\na',
    );
  });
});
