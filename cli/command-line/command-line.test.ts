import assert from 'node:assert/strict';
import fc from 'fast-check';
import { UserError } from '../../api/errors.ts';
import { defineCommand, type CommandTree } from './command.ts';
import { findCommand } from './find-command.ts';
import { formatCommandHelp, formatGroupHelp, formatOverview } from './format-help.ts';
import { formatTable } from './format-table.ts';
import { nearestName } from './nearest-name.ts';
import { resolveKubeconfig } from './kubeconfig-flag.ts';
import { parseCommandLine } from './parse-flags.ts';

const flags = {
  listen: { type: 'string', value: 'HOST:PORT', default: '0.0.0.0:6443', description: 'where to listen' },
  owner: { type: 'string', value: 'NAME', description: 'who lends' },
  output: { type: 'string', value: 'FORMAT', short: 'o', choices: ['json', 'text'], description: 'form of the answer' },
  purge: { type: 'boolean', description: 'removes everything' },
  example: { type: 'boolean', negatable: true, description: 'without the example' },
} as const;

const run = (): Promise<number> => Promise.resolve(0);
const up = defineCommand({ name: 'up', summary: 'starts', flags, run });
const join = defineCommand({
  name: 'join',
  summary: 'joins',
  flags,
  arguments: [
    { name: 'URL', description: 'where the pool is' },
    { name: 'TOKEN', description: 'what lets in', optional: true },
  ],
  run,
});
const drop = defineCommand({
  name: 'token delete',
  summary: 'deletes',
  flags: {},
  arguments: [{ name: 'ID', description: 'which one', repeats: true }],
  run,
});
const tree: CommandTree = {
  up: () => Promise.resolve(up),
  join: () => Promise.resolve(join),
  token: { summary: 'join tokens', commands: { delete: () => Promise.resolve(drop) } },
  member: { summary: 'people', commands: { token: { summary: 'their tokens', commands: { delete: () => Promise.resolve(drop) } } } },
};

function complaintOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof UserError);
    return error.toString();
  }
  return '';
}

function complaint(...args: string[]): string {
  return complaintOf(() => parseCommandLine(up, args));
}

describe('the command line', () => {
  it('answers defaults where nothing is given', () => {
    assert.deepEqual(parseCommandLine(up, []).values, {
      listen: '0.0.0.0:6443',
      owner: undefined,
      output: undefined,
      purge: false,
      example: true,
    });
  });

  it('reads values with and without =, short flags, and no-', () => {
    const { values } = parseCommandLine(up, ['--listen=:0', '--owner', 'alan', '-o', 'json', '--purge', '--no-example']);
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
    const help = formatCommandHelp(up);
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
    assert.match(formatOverview([up]), / {2}up {2}starts/);
  });

  it('reads arguments by their place, wherever the flags stand', () => {
    assert.deepEqual(parseCommandLine(join, ['--purge', 'https://pool:6443', '--owner', 'alan', '-']).words, ['https://pool:6443', '-']);
    assert.deepEqual(parseCommandLine(join, ['https://pool:6443']).words, ['https://pool:6443']);
    assert.deepEqual(parseCommandLine(drop, ['a', 'b', 'c']).words, ['a', 'b', 'c']);
    assert.deepEqual(parseCommandLine(drop, ['--', '-a']).words, ['-a']);
    assert.match(
      complaintOf(() => parseCommandLine(join, [])),
      /^PLK010 potluck join: URL is missing\. It is where the pool is; /,
    );
    assert.match(
      complaintOf(() => parseCommandLine(join, ['a', 'b', 'c'])),
      /takes only URL TOKEN, and got "c"/,
    );
    assert.match(
      complaintOf(() => parseCommandLine(drop, [])),
      /ID is missing/,
    );
  });

  it('shows arguments and groups in the help', () => {
    assert.match(
      formatCommandHelp(join),
      /Usage: potluck join URL \[TOKEN\] \[flags\]\n.*Arguments:\n {2}URL {4}where the pool is\n {2}TOKEN {2}what lets in\n/s,
    );
    assert.match(formatCommandHelp(drop), /^potluck token delete: deletes\n.*Usage: potluck token delete ID\.\.\. \[flags\]/s);
    assert.match(
      formatGroupHelp({ name: 'token', summary: 'join tokens' }, [{ name: 'delete', summary: 'deletes' }]),
      /^potluck token: join tokens\n.*Usage: potluck token COMMAND.* {2}delete {2}deletes\n/s,
    );
  });

  it('finds commands and those of groups, and names the nearest', () => {
    const found = findCommand(tree, ['token', 'delete', 'x']);
    assert.ok(found.kind === 'command');
    assert.deepEqual(found.rest, ['x']);
    assert.deepEqual(findCommand(tree, []), { kind: 'overview', isMistake: true });
    assert.deepEqual(findCommand(tree, ['help']), { kind: 'overview', isMistake: false });
    const group = findCommand(tree, ['token']);
    assert.ok(group.kind === 'group-help' && group.isMistake && group.name === 'token');
    const complain = (...args: string[]): string => complaintOf(() => findCommand(tree, args));
    assert.match(complain('tokn'), /^PLK010 there is no command "tokn"\. Did you mean token\?$/);
    assert.match(complain('token', 'delet'), /^PLK010 there is no command "token delet"\. Did you mean token delete\?$/);
    assert.match(complain('token', 'zzzz'), /potluck token --help lists the commands$/);
    assert.match(complain('constructor'), /there is no command "constructor"/);
  });

  it('finds commands of groups in groups', () => {
    const found = findCommand(tree, ['member', 'token', 'delete', 'x']);
    assert.ok(found.kind === 'command');
    assert.deepEqual(found.rest, ['x']);
    const group = findCommand(tree, ['member', 'token', '--help']);
    assert.ok(group.kind === 'group-help' && !group.isMistake && group.name === 'member token');
    const complaint = complaintOf(() => findCommand(tree, ['member', 'token', 'delet']));
    assert.match(complaint, /^PLK010 there is no command "member token delet"\. Did you mean member token delete\?$/);
  });

  it('gathers flags that may be given several times, in their order', () => {
    const add = defineCommand({ name: 'add', summary: 'adds', flags: { key: { type: 'list', value: 'FILE', description: 'a key' } }, run });
    assert.deepEqual(parseCommandLine(add, []).values, { key: [] });
    assert.deepEqual(parseCommandLine(add, ['--key', 'b', '--key=-', '--key', '-']).values, { key: ['b', '-', '-'] });
    assert.match(
      complaintOf(() => parseCommandLine(add, ['--key'])),
      /--key needs a value\. For example --key FILE$/,
    );
    assert.match(formatCommandHelp(add), /--key FILE\.\.\. {2}a key/);
  });

  it('takes the kubeconfig of the flag, else of the environment, else of the home', () => {
    const before = process.env['KUBECONFIG'];
    try {
      delete process.env['KUBECONFIG'];
      assert.equal(resolveKubeconfig({ kubeconfig: undefined, home: '/pool' }), '/pool/kubeconfig');
      process.env['KUBECONFIG'] = `/no/such/file::${import.meta.filename}`;
      assert.equal(resolveKubeconfig({ kubeconfig: undefined, home: '/pool' }), import.meta.filename);
      process.env['KUBECONFIG'] = '/no/such/file';
      assert.equal(resolveKubeconfig({ kubeconfig: undefined, home: '/pool' }), '/no/such/file');
      assert.equal(resolveKubeconfig({ kubeconfig: '/mine', home: '/pool' }), '/mine');
    } finally {
      if (before === undefined) delete process.env['KUBECONFIG'];
      else process.env['KUBECONFIG'] = before;
    }
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
