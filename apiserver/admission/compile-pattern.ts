/** Regular expressions as Go's, in linear time: `re2js`. */
import { RE2JS } from 're2js';

/** Finds the pattern anywhere in a text. */
export type PatternTest = (text: string) => boolean;

/** @throws {Error} when the pattern is no RE2 expression. */
export function compilePattern(pattern: string): PatternTest {
  const expression = RE2JS.compile(pattern);
  return (text) => expression.test(text);
}
