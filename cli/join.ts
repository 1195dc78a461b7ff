import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { UserError } from '../api/errors.ts';
import type { JoinTokenText } from '../api/join-token-format.ts';
import { agentFolder } from '../node-agent/identity/agent-folder.ts';
import { formerOf, readEnrolment, writeEnrolment, type Enrolment } from '../node-agent/identity/enrolment.ts';
import { joinPool, type Proposal } from '../node-agent/identity/join-pool.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { runProcess, type RunningProcess } from '../runtime/process.ts';
import { abortable } from './abortable.ts';
import { defineCommand, type FlagValues } from './command-line/command.ts';
import { homeFlag, resolveHome } from './command-line/home-flag.ts';
import { parseDuration } from './command-line/parse-duration.ts';
import { engineFlag, parseEngine } from './engine-flag.ts';
import { ownerPolicyFlag } from './owner-policy-flag.ts';
import { isForgotten } from './join/is-forgotten.ts';
import { parseLocation, parseOffer } from './join/parse-offer.ts';
import { readToken } from './join/read-token.ts';
import { chooseWay, moveToServer, type Invitation } from './join/choose-way.ts';
import { prepareAgent, untilReady } from './join/start-provider.ts';
import { installUnit, requireSystemd } from './join/systemd-unit.ts';
import { parseServerUrl } from './token/pool-address.ts';
import { TooLateError } from './until-true.ts';
import { checkProviderMachine } from './up/check-machine.ts';
import { lockPool, type Lock } from './up/lock.ts';
import { defaultOffer, readMachine, toLabel } from './up/machine.ts';
import { poolPaths, type PoolPaths } from './up/pool-paths.ts';
import { createProgress, type Progress } from './up/progress.ts';

const dayMs = 24 * 3_600_000;
const readyTimeoutMs = 30_000;
/** The agent's own bound, and some more. */
const stopTimeoutMs = 40_000;
const echoMs = 500;

const flags = {
  home: homeFlag,
  name: { type: 'string', value: 'NAME', description: 'name of this machine in the pool; default its hostname' },
  engine: engineFlag,
  'owner-policy': ownerPolicyFlag,
  offer: { type: 'string', value: 'RESOURCE=AMOUNT,…', description: 'what to lend, for example cpu=4,memory=8Gi,disk=100Gi' },
  region: { type: 'string', value: 'NAME', description: "where the machine is, in the pool's own words" },
  latitude: { type: 'string', value: 'DEGREES', description: 'rounded to 0.1 degree; south is --latitude=-33.9' },
  longitude: { type: 'string', value: 'DEGREES', description: 'rounded to 0.1 degree; west is --longitude=-71.1' },
  'token-file': { type: 'string', value: 'FILE', description: 'reads the token from a file' },
  'answer-timeout': { type: 'string', value: 'DURATION', default: '15s', description: 'how long the pool may take for one answer' },
  'approval-timeout': { type: 'string', value: 'DURATION', default: '10m', description: 'how long to wait for someone to approve' },
  agent: { type: 'boolean', negatable: true, description: 'joins only: something else here is to start potluck agent' },
  install: { type: 'boolean', description: 'runs the agent as a service of systemd, also after a reboot, instead of here' },
} as const;

export const joinCommand = defineCommand({
  name: 'join',
  summary: 'lends this machine to a pool that runs elsewhere',
  details:
    'potluck token create, at the pool, prints the URL and the token. Nothing but one way out to that URL is needed. The agent then runs until Ctrl-C;\n' +
    'instances go on meanwhile, and potluck join without arguments goes on from there. A token in the arguments can be seen by other users of this\n' +
    'machine for a moment: - reads it from standard input instead. potluck leave takes the machine out of the pool.',
  arguments: [
    { name: 'URL', description: 'where the pool is, for example https://pool.example.org:6443', optional: true },
    { name: 'TOKEN', description: 'what lets this machine in; - reads it from standard input', optional: true },
  ],
  flags,
  run: async (values, [url, word]) => {
    // What `ps` shows from here on.
    process.title = 'potluck join';
    const token = await readToken({ word, file: values['token-file'] });
    const paths = poolPaths(resolveHome(values.home));
    const wish = readWish(values, url, token);
    await mkdir(paths.logs, { recursive: true });
    const logger = createLogger({ component: 'join', level: 'info', format: 'text', file: join(paths.logs, 'join.log') });
    const progress = createProgress(process.stdout);
    const start = (signal: AbortSignal): Promise<RunningProcess> => startJoin(wish, { paths, logger, progress, signal });
    runProcess({ name: 'potluck join', logger, stopTimeoutMs, echoMs, start: ({ signal }) => start(signal) });
    return undefined;
  },
});

interface Wish {
  /** Undefined to go on as this machine joined. */
  invitation: Invitation | undefined;
  engine: string;
  ownerPolicy: string;
  name: string;
  offer: (otherwise: Readonly<Record<string, string>>) => Record<string, string>;
  location: Proposal['location'];
  answerTimeoutMs: number;
  approvalTimeoutMs: number;
  /** Who runs the agent: this process, systemd, or somebody who has other means. */
  runs: 'here' | 'service' | 'elsewhere';
}

/** What can be wrong with the command line is said before anything is touched. */
function readWish(values: FlagValues<typeof flags>, url: string | undefined, token: JoinTokenText | undefined): Wish {
  if ((url === undefined) !== (token === undefined)) {
    const missing = url === undefined ? 'the URL' : 'the token';
    const remedy = 'Give both as potluck token create printed them: potluck join URL TOKEN; or none, to go on as this machine joined';
    throw new UserError('BAD_ARGUMENT', `potluck join: ${missing} is missing`, remedy);
  }
  parseEngine(values.engine);
  parseOffer(values.offer, {});
  if (values.name !== undefined && (toLabel(values.name, '') !== values.name || values.name === '')) {
    const what = `--name ${JSON.stringify(values.name.slice(0, 60))} is no name for a machine`;
    throw new UserError('BAD_ARGUMENT', what, 'It has at most 40 lower-case letters, digits and hyphens, for example alans-desktop');
  }
  return {
    invitation: url === undefined || token === undefined ? undefined : { server: parseServerUrl('potluck join:', url), token },
    engine: values.engine,
    ownerPolicy: resolve(values['owner-policy']),
    name: values.name ?? toLabel(hostname().split('.')[0] ?? '', 'this-machine'),
    offer: (otherwise) => parseOffer(values.offer, otherwise),
    location: parseLocation(values),
    answerTimeoutMs: parseDuration('answer-timeout', values['answer-timeout'], 3_600_000),
    approvalTimeoutMs: parseDuration('approval-timeout', values['approval-timeout'], 7 * dayMs),
    runs: values.install ? 'service' : values.agent ? 'here' : 'elsewhere',
  };
}

interface JoinContext {
  paths: PoolPaths;
  logger: Logger;
  progress: Progress;
  signal: AbortSignal;
}

async function startJoin(wish: Wish, context: JoinContext): Promise<RunningProcess> {
  const { paths } = context;
  if (wish.runs === 'service') await requireSystemd(paths.home);
  const lock = await lockPool(paths, { as: 'join' });
  try {
    const enrolment = await enrol(wish, context);
    if (wish.runs === 'here') return await runAgent(enrolment, context, lock);
    if (wish.runs === 'service') await runService(enrolment, context);
    else context.progress.note(`This machine is ${enrolment.providerName} in the pool, when potluck agent --home ${paths.home} runs.`);
    return { stop: () => lock.release(), done: Promise.resolve() };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function runService(enrolment: Enrolment, context: JoinContext): Promise<void> {
  const { paths, progress } = context;
  await progress.step('agent installed as a service', () => installUnit(paths.home));
  await sayReady(enrolment, context);
  progress.note('It runs as potluck-agent.service, also after a reboot. potluck leave takes this machine out of the pool.');
}

async function runAgent(enrolment: Enrolment, context: JoinContext, lock: Lock): Promise<RunningProcess> {
  const { paths, progress, logger, signal } = context;
  const agent = prepareAgent(paths, enrolment, logger);
  try {
    await progress.step('agent and container engine', () => abortable(agent.start(), signal));
    await sayReady(enrolment, context);
  } catch (error) {
    await agent.stop();
    throw error;
  }
  progress.note(
    `Logs are in ${paths.logs}. Ctrl-C stops the agent, and instances go on; potluck leave takes this machine out of the pool.`,
  );
  const stop = async (): Promise<void> => {
    await agent.stop();
    await lock.release();
    progress.note('Stopped. Instances go on; potluck join goes on from here.');
  };
  return { stop };
}

/** Joins, unless it was done before. */
async function enrol(wish: Wish, { paths, progress, signal }: JoinContext): Promise<Enrolment> {
  const folder = agentFolder(paths.home);
  const known = await readEnrolment(folder);
  const way = await chooseWay({
    folder,
    enrolment: known,
    invitation: wish.invitation,
    runsPool: existsSync(join(paths.pki, 'ca.key')),
    isForgotten: (enrolment) => isForgotten(paths.home, enrolment, signal),
  });
  const engine = way.kind === 'go-on' ? way.enrolment.engine : wish.engine;
  const parsed = parseEngine(engine);
  await checkProviderMachine({ home: paths.home, engineSocket: parsed === 'pool' ? undefined : parsed.socketPath });
  if (way.kind === 'go-on') {
    if (wish.invitation !== undefined) await moveToServer(folder, wish.invitation.server, { timeoutMs: wish.answerTimeoutMs, signal });
    const staying = { ...way.enrolment };
    delete staying.leaving;
    await writeEnrolment(folder, staying);
    progress.note(`This machine is ${staying.providerName} in the pool already, and goes on as that.`);
    return staying;
  }
  const { answerTimeoutMs, approvalTimeoutMs, location } = wish;
  const offer = wish.offer(defaultOffer(await readMachine(paths.home)));
  const proposal = { name: wish.name, offer, ...(location === undefined ? {} : { location }) };
  const { server, token } = way.invitation;
  const step = <T>(label: string, run: (report: (where: string) => void) => Promise<T>): Promise<T> => progress.step(label, run);
  const joined = await joinPool({ server, token, folder, proposal, answerTimeoutMs, approvalTimeoutMs, signal, step });
  const enrolment: Enrolment = { ...joined, engine, ownerPolicy: wish.ownerPolicy, by: 'join', ...formerOf(known, joined.providerUid) };
  await writeEnrolment(folder, enrolment);
  return enrolment;
}

/** A pool that is slow to say so, or away, is no reason to stop. */
async function sayReady(enrolment: Enrolment, { paths, progress, signal }: JoinContext): Promise<void> {
  const { providerName } = enrolment;
  try {
    await progress.step(`provider ${providerName} ready`, () => untilReady(paths, enrolment, { timeoutMs: readyTimeoutMs, signal }));
  } catch (error) {
    if (!(error instanceof TooLateError)) throw error;
    progress.note(`  The pool does not say so yet (${error.message}); the agent goes on trying.`);
  }
}
