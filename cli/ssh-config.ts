import { defineCommand } from './command-line/command.ts';
import { includeSettings, settingsFlag, writeSettings } from './ssh/write-settings.ts';
import { clientFlags, withClient } from './with-client.ts';

export const sshConfigCommand = defineCommand({
  name: 'ssh-config',
  summary: "writes what OpenSSH needs to reach the pool's instances by name",
  details:
    'One file of settings and one of known hosts. ~/.ssh/config is left as it is; with --include it gets one line more, at its beginning. Then ssh, scp,\n' +
    'sftp and rsync take NAME.NAMESPACE.potluck, the hostname of an instance, or its bare name in your own namespace. Write it again for new instances.',
  flags: {
    output: settingsFlag,
    include: { type: 'boolean', description: 'adds the one line to ~/.ssh/config that includes the file' },
    ...clientFlags,
  },
  run: async (values) =>
    withClient(values, async (context) => {
      const { file, instances } = await writeSettings(context, values.output);
      const known = instances.filter(({ status }) => status?.ssh?.hostKey !== undefined).length;
      process.stdout.write(`wrote ${file}: ${known} ${known === 1 ? 'instance' : 'instances'}\n`);
      if (!values.include)
        process.stdout.write(`To use it, put this line first in ~/.ssh/config, or run this with --include:\nInclude ${file}\n`);
      else process.stdout.write((await includeSettings(file)) ? '~/.ssh/config includes it now\n' : '~/.ssh/config includes it already\n');
      return 0;
    }),
});
