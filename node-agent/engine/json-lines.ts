/** Streams of JSON objects, one a line, as Docker sends events and progress. */

/** Nothing of Docker's is longer, in characters. */
const longestLine = 1_000_000;

/** Calls back for each object; answers when the stream ended. Lines that are no JSON are skipped. */
export async function readJsonLines(stream: AsyncIterable<Buffer | string>, onObject: (object: unknown) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > longestLine) throw new Error('the engine sent a line that has no end');
    for (const line of lines) emit(line, onObject);
  }
  emit(rest, onObject);
}

function emit(line: string, onObject: (object: unknown) => void): void {
  if (line.trim() === '') return;
  let object: unknown;
  try {
    object = JSON.parse(line);
  } catch {
    return;
  }
  onObject(object);
}
