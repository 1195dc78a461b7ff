import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { constants, homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { UserError } from '../api/errors.ts';
import type { Instance } from '../api/generated/instance.ts';
import { defineCommand } from './command-line/command.ts';
import { addressOf, quoted } from './ssh/ssh-settings.ts';
import { settingsFlag, writeSettings } from './ssh/write-settings.ts';
import type { WrittenSettings } from './ssh/write-settings.ts';
import { clientFlags, withClient } from './with-client.ts';

export const sshCommand = defineCommand({
  name: 'ssh',
  summary: 'logs in to an instance, or runs a command in it',
  details:
    'It is your own ssh with the settings of potluck ssh-config, written anew, before your own. What comes after -- goes to ssh: options and the command.\n' +
    "The exit code is the command's, or 255.",
  flags: {
    namespace: { type: 'string', short: 'n', value: 'NAME', description: 'of the instance; default that of the kubeconfig' },
    output: settingsFlag,
    ...clientFlags,
  },
  arguments: [
    { name: 'NAME', description: 'the instance: NAME, NAMESPACE/NAME or its hostname' },
    { name: 'ARGUMENT', description: 'for ssh, after --', optional: true, repeats: true },
  ],
  run: async (values, [name = '', ...rest]) => {
    const written = await withClient(values, (context) => writeSettings(context, values.output));
    const instance = findInstance(written, name, values.namespace);
    const config = join(dirname(written.file), 'potluck_and_own_config');
    const own = [join(homedir(), '.ssh', 'config'), '/etc/ssh/ssh_config'];
    await writeFile(config, [written.file, ...own].map((file) => `Match all\nInclude ${quoted(file)}\n`).join(''), { mode: 0o600 });
    const [options, command] = splitArguments(rest);
    const child = spawn('ssh', ['-F', config, ...options, addressOf(instance), ...command], { stdio: 'inherit' });
    // They are ssh's to act on.
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGTSTP'] as const) process.on(signal, () => undefined);
    const [code, signal] = (await once(child, 'exit').catch((error: unknown) => {
      throw new UserError('BAD_ARGUMENT', `ssh cannot be run: ${(error as Error).message}`, 'Install openssh-client', { cause: error });
    })) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  },
});

function findInstance({ instances, namespace: own }: WrittenSettings, name: string, wanted: string | undefined): Instance {
  const [first = '', second] = name.split('/');
  const namespace = second === undefined ? (wanted ?? own ?? 'default') : first;
  const plain = second ?? first;
  const found =
    instances.find(({ metadata }) => metadata.name === plain && metadata.namespace === namespace) ??
    instances.find(({ status }) => second === undefined && status?.hostname === plain);
  if (found !== undefined) return found;
  throw new UserError(
    'BAD_ARGUMENT',
    `there is no instance ${namespace}/${plain} that you can see`,
    'potluck status and kubectl get instances -A list them',
  );
}

/** ssh wants its options before the host: words up to the first that is no option, and the values of those that take one. */
function splitArguments(words: readonly string[]): [string[], string[]] {
  const takesValue = /^-[A-Za-z]*[BbcDEeFIiJLlmOopQRSWw]$/;
  let at = 0;
  while (at < words.length && words[at]?.startsWith('-') === true) at += takesValue.test(words[at] ?? '') ? 2 : 1;
  return [words.slice(0, at), words.slice(at)];
}
