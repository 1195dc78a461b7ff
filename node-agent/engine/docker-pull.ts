/** Reads the progress of `POST /images/create`. */
import { EngineError } from './engine.ts';
import type { PullProgress } from './engine.ts';
import { readJsonLines } from './json-lines.ts';

interface PullLine {
  id?: string;
  status?: string;
  error?: string;
  progressDetail?: { current?: number; total?: number };
}

interface Layer {
  current: number;
  total: number;
  done: boolean;
}

/** More layers than any image has (overlay2 takes 128). */
const mostLayers = 512;

/** Resolves when the pull is complete, rejects with what the engine said when it is not. */
export async function readPull(
  stream: NodeJS.ReadableStream,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const layers = new Map<string, Layer>();
  let failure: string | undefined;
  await readJsonLines(stream, (object) => {
    const line = object as PullLine;
    failure ??= line.error;
    if (note(layers, line)) onProgress(sum(layers));
  });
  if (signal.aborted) throw new EngineError('failed', 'The pull was cut short');
  if (failure !== undefined) throw new EngineError('failed', failure);
}

/** What the engine says of a layer, in order. */
const layerStatuses = new Set([
  'Already exists',
  'Pulling fs layer',
  'Waiting',
  'Downloading',
  'Verifying Checksum',
  'Download complete',
  'Extracting',
  'Pull complete',
]);

/** Answers whether the line tells of a layer. */
function note(layers: Map<string, Layer>, { id, status = '', progressDetail }: PullLine): boolean {
  if (id === undefined || !layerStatuses.has(status)) return false;
  const layer = layers.get(id) ?? { current: 0, total: 0, done: false };
  if (layers.size >= mostLayers && !layers.has(id)) return false;
  if (status === 'Downloading') {
    layer.current = progressDetail?.current ?? layer.current;
    layer.total = progressDetail?.total ?? layer.total;
  }
  if (status === 'Download complete' || status === 'Extracting') layer.current = layer.total;
  layer.done = status === 'Pull complete' || status === 'Already exists';
  layers.set(id, layer);
  return true;
}

function sum(layers: ReadonlyMap<string, Layer>): PullProgress {
  const all = [...layers.values()];
  return {
    downloadedBytes: all.reduce((bytes, { current }) => bytes + current, 0),
    totalBytes: all.reduce((bytes, { total }) => bytes + total, 0),
    layersDone: all.filter(({ done }) => done).length,
    layers: all.length,
  };
}
