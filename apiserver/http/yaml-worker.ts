/** Runs in a thread of its own: reads one YAML body, answers with what it says or why it cannot be read, and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { decodeYaml } from '../admission/decode-yaml.ts';
import type { YamlAnswer, YamlJob } from './yaml-decoder.ts';

const { body, options } = workerData as YamlJob;
parentPort?.postMessage(answer());

function answer(): YamlAnswer {
  try {
    return { decoded: decodeYaml(body, options) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
