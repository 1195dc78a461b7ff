/** A process of its own, so that it can run where the engine pulls from: reads a question from standard input, answers one line of JSON. */
import { text } from 'node:stream/consumers';
import { imageSize } from './registry-manifest.ts';
import type { SizeQuestion } from './registry-manifest.ts';

const timeoutMs = 10_000;

const question = JSON.parse(await text(process.stdin)) as SizeQuestion;
const answer = await imageSize(question, AbortSignal.timeout(timeoutMs)).then(
  (bytes) => ({ bytes }),
  (error: unknown) => ({ error: error instanceof Error ? error.message : 'unknown' }),
);
process.stdout.write(`${JSON.stringify(answer)}\n`);
