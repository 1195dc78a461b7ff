import { UserError } from '../../api/errors.ts';
import { defineCommand } from '../command-line/command.ts';
import { importLines } from '../images/build-commands.ts';
import { ensureRoot, readDefinition } from '../images/root-file-system.ts';
import { createProgress } from '../up/progress.ts';

export const imageBuildCommand = defineCommand({
  name: 'image build',
  summary: 'makes the root file system of an image from its definition',
  details:
    'As root. The definitions that come with Potluck are in images/, with a README. The distribution’s own tool makes it, and checks the signatures of the packages.',
  flags: {
    output: { type: 'string', value: 'FILE', description: 'the tar that is made; nothing is done when it is there' },
  },
  arguments: [{ name: 'DEFINITION', description: 'for example images/debian-12.yaml' }],
  run: async ({ output }, [file = '']) => {
    if (output === undefined)
      throw new UserError('BAD_ARGUMENT', 'potluck image build: --output is missing', 'For example --output debian-12.tar');
    if (process.getuid?.() !== 0) throw new UserError('NOT_ROOT', 'a root file system is made by root alone', 'Use sudo');
    const definition = await readDefinition(file);
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort(new UserError('BAD_ARGUMENT', 'the build was interrupted', 'Nothing is left of it')));
    const progress = createProgress(process.stdout);
    await progress.step(`${definition.reference} made`, (report) => ensureRoot(definition, { file: output, report, signal: stop.signal }));
    console.log(
      `\nInto a registry:\n${importLines(definition, output)
        .map((line) => `  ${line}`)
        .join('\n')}`,
    );
    return 0;
  },
});
