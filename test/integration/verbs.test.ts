/** kubectl's own verbs on instances, as Kubernetes 1.32 (WebSocket) and Debian's 1.20 (SPDY) speak them, through every real part. */
import assert from 'node:assert/strict';
import { createLogger } from '../../runtime/logger.ts';
import { findOldKubectl } from '../support/old-kubectl.ts';
import { VerbsWorld } from '../support/verbs-world.ts';

describe('kubectl’s verbs', function () {
  this.timeout(90_000);
  let world: VerbsWorld;
  let old: string;

  before(async () => {
    const options =
      process.env['POTLUCK_TEST_LOG'] === undefined
        ? {}
        : { logger: createLogger({ component: 'backend', level: 'debug', format: 'text' }) };
    [world, old] = await Promise.all([VerbsWorld.start(options), findOldKubectl()]);
    await world.run('web', 'echo started; sleep 100000');
  });
  after(() => world.stop());

  for (const which of ['1.32', '1.20']) {
    describe(`of ${which}`, () => {
      const kubectl = (args: readonly string[], input?: string): ReturnType<VerbsWorld['kubectl']> =>
        world.kubectl(which === '1.20' ? old : 'kubectl', args, input);

      it('exec: input, both outputs, and the exit code', async () => {
        const { code, stdout, stderr } = await kubectl(['exec', '-i', 'web', '--', 'sh', '-c', 'cat; echo oops >&2; exit 7'], 'hello\n');
        assert.deepEqual([code, stdout], [7, 'hello\n'], stderr);
        assert.match(stderr, /^oops\n/m);
        const fine = await kubectl(['exec', 'web', '--', 'true']);
        assert.deepEqual([fine.code, fine.stdout], [0, ''], fine.stderr);
      });

      it('logs', async () => {
        const { code, stdout, stderr } = await kubectl(['logs', 'web']);
        assert.deepEqual([code, stdout], [0, 'started\n'], stderr);
      });
    });
  }
});
