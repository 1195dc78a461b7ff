import ts from 'typescript';

export interface ModuleFacts {
  /** From the root of the repository, with `/`. */
  path: string;
  imports: { specifier: string; line: number }[];
  /** Where it asks the clock, chance or the process, which pure code must not. */
  impurities: { what: string; line: number }[];
}

const impureMembers = new Set(['Date.now', 'Math.random']);
const impureNames = new Set([
  'performance',
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'fetch',
  'console',
  'crypto',
  'Buffer',
]);

/** Reads what one module imports (types, re-exports and dynamic imports too) and where it is not pure. */
export function readModule(path: string, text: string): ModuleFacts {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const facts: ModuleFacts = { path, imports: [], impurities: [] };
  const lineOf = (node: ts.Node): number => source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
  const visit = (node: ts.Node): void => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) facts.imports.push({ specifier, line: lineOf(node) });
    const what = impurityOf(node);
    if (what !== undefined) facts.impurities.push({ what, line: lineOf(node) });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return facts;
}

function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return literal(node.moduleSpecifier);
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return literal(node.arguments[0]);
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) return literal(node.argument.literal);
  return undefined;
}

function literal(node: ts.Node | undefined): string | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? node.text : undefined;
}

function impurityOf(node: ts.Node): string | undefined {
  if (ts.isPropertyAccessExpression(node) && impureMembers.has(node.getText())) return node.getText();
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0) return 'new Date()';
  if (!ts.isIdentifier(node) || !impureNames.has(node.text)) return undefined;
  return isUse(node) ? node.text : undefined;
}

/** Whether an identifier reads the global of that name, rather than naming a property, a type or a binding. */
function isUse(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  return (
    (ts.isCallExpression(parent) && parent.expression === node) || (ts.isElementAccessExpression(parent) && parent.expression === node)
  );
}
