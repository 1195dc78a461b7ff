/** Progress for people, on standard output: a line for each step with the time that it took, and on a terminal one that moves meanwhile. */
export interface Progress {
  /** Runs a step; `report` says where it is. */
  step<T>(label: string, run: (report: (where: string) => void) => Promise<T>): Promise<T>;
  note(line: string): void;
}

export interface Output {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/** Without a terminal, a step that takes longer says so this often. */
const heartbeatMs = 10_000;
const terminalMs = 250;
const clearLine = '\r\u001b[K';

export function createProgress(output: Output): Progress {
  const terminal = output.isTTY === true;
  return {
    note: (line) => output.write(`${line}\n`),
    step: async (label, run) => {
      const startMs = performance.now();
      const seconds = (): string => `${((performance.now() - startMs) / 1000).toFixed(1)} s`;
      let where = '';
      const show = (): void => {
        const line = `… ${label}  ${where === '' ? '' : `${where}, `}${seconds()}`;
        output.write(terminal ? `${clearLine}${line.slice(0, (output.columns ?? 80) - 1)}` : `${line}\n`);
      };
      const finish = (mark: string): void => {
        output.write(`${terminal ? clearLine : ''}${mark} ${label}  ${seconds()}\n`);
      };
      const timer = setInterval(show, terminal ? terminalMs : heartbeatMs);
      try {
        const result = await run((text) => {
          where = text;
        });
        finish('✓');
        return result;
      } catch (error) {
        finish('✗');
        throw error;
      } finally {
        clearInterval(timer);
      }
    },
  };
}
