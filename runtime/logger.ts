/** Structured logs: a constant message with fields, as JSON or, on a terminal, as text. Never put a secret in a field. */
import winston from 'winston';

export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A logger that adds `fields` to every line. */
  child(fields: Readonly<Record<string, unknown>>): Logger;
}

export interface LoggerOptions {
  component: string;
  level: 'debug' | 'info' | 'warn' | 'error';
  format: 'json' | 'text';
  /** Appends to this file instead of standard error; bounded to 5 files of 10 MB. */
  file?: string;
}

export function createLogger(options: LoggerOptions): Logger {
  const { combine, timestamp, json, printf, errors } = winston.format;
  const text = printf(({ timestamp: time, level, message, ...fields }) => {
    const rest = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`;
    return `${String(time)} ${level} ${String(message)}${rest}`;
  });
  const { Console, File } = winston.transports;
  const toStandardError = { stderrLevels: ['error', 'warn', 'info', 'debug'] };
  const root = winston.createLogger({
    level: options.level,
    format: combine(errors({ stack: true }), timestamp(), options.format === 'json' ? json() : text),
    defaultMeta: { component: options.component },
    transports: [
      options.file === undefined ? new Console(toStandardError) : new File({ filename: options.file, maxsize: 10_000_000, maxFiles: 5 }),
    ],
  });
  return wrap(root);
}

/** Errors among the fields are written as their message and stack. */
function wrap(logger: winston.Logger): Logger {
  const write =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      logger.log({ level, message, ...Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, printable(value)])) });
    };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => wrap(logger.child(fields)),
  };
}

function printable(value: unknown): unknown {
  return value instanceof Error ? (value.stack ?? value.message) : value;
}

/** For tests and for programs that do not log. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
