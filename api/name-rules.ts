/** What names, label keys and label values may look like. Rules and texts follow k8s.io/apimachinery `util/validation`; no message means valid. */

const dnsLabelPattern = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const dnsSubdomainPattern = `${dnsLabelPattern}(\\.${dnsLabelPattern})*`;
const dns1035Pattern = '[a-z]([-a-z0-9]*[a-z0-9])?';
const qualifiedNamePattern = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValuePattern = `(${qualifiedNamePattern})?`;

const dnsLabelExpression = new RegExp(`^${dnsLabelPattern}$`);
const dnsSubdomainExpression = new RegExp(`^${dnsSubdomainPattern}$`);
const dns1035Expression = new RegExp(`^${dns1035Pattern}$`);
const qualifiedNameExpression = new RegExp(`^${qualifiedNamePattern}$`);

const dnsLabelMaxLength = 63;
const dnsSubdomainMaxLength = 253;
const qualifiedNameMaxLength = 63;
const labelValueMaxLength = 63;

function expected(rule: string, pattern: string, ...examples: string[]): string {
  return `${rule} (e.g. ${examples.map((example) => `'${example}', `).join(' or ')}regex used for validation is '${pattern}')`;
}

function tooLong(bytes: number): string {
  return `must be no more than ${bytes} bytes`;
}

const subdomainRule =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const labelRule =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const dns1035Rule =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const qualifiedNameRule = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/** RFC 1123 subdomain: the name of most objects, the prefix of a label key. */
export function dnsSubdomainProblems(text: string): string[] {
  const problems: string[] = [];
  if (text.length > dnsSubdomainMaxLength) problems.push(tooLong(dnsSubdomainMaxLength));
  if (!dnsSubdomainExpression.test(text)) problems.push(expected(subdomainRule, dnsSubdomainPattern, 'example.com'));
  return problems;
}

/** RFC 1123 label: a namespace, a part of a host name. */
export function dnsLabelProblems(text: string): string[] {
  const problems: string[] = [];
  if (text.length > dnsLabelMaxLength) problems.push(tooLong(dnsLabelMaxLength));
  if (!dnsLabelExpression.test(text)) problems.push(expected(labelRule, dnsLabelPattern, 'my-name', '123-abc'));
  return problems;
}

/** RFC 1035 label: like an RFC 1123 label, and starts with a letter. */
export function dns1035LabelProblems(text: string): string[] {
  const problems: string[] = [];
  if (text.length > dnsLabelMaxLength) problems.push(tooLong(dnsLabelMaxLength));
  if (!dns1035Expression.test(text)) problems.push(expected(dns1035Rule, dns1035Pattern, 'my-name', 'abc-123'));
  return problems;
}

const qualifiedNameExamples = ['MyName', 'my.name', '123-abc'];

/** `name` or `prefix/name`: a label's or annotation's key, a finalizer. */
export function qualifiedNameProblems(text: string): string[] {
  const parts = text.split('/');
  if (parts.length > 2) {
    const rule = expected(qualifiedNameRule, qualifiedNamePattern, ...qualifiedNameExamples);
    return [`a qualified name ${rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const problems: string[] = [];
  const name = parts.at(-1) ?? '';
  if (parts.length === 2) {
    const prefix = parts[0] ?? '';
    const wrong = prefix === '' ? ['must be non-empty'] : dnsSubdomainProblems(prefix);
    problems.push(...wrong.map((problem) => `prefix part ${problem}`));
  }
  if (name === '') problems.push('name part must be non-empty');
  else if (name.length > qualifiedNameMaxLength) problems.push(`name part ${tooLong(qualifiedNameMaxLength)}`);
  if (!qualifiedNameExpression.test(name)) {
    problems.push(`name part ${expected(qualifiedNameRule, qualifiedNamePattern, ...qualifiedNameExamples)}`);
  }
  return problems;
}

export function labelValueProblems(text: string): string[] {
  const problems: string[] = [];
  if (text.length > labelValueMaxLength) problems.push(tooLong(labelValueMaxLength));
  if (text !== '' && !qualifiedNameExpression.test(text)) {
    const rule = `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character`;
    problems.push(expected(rule, labelValuePattern, 'MyValue', 'my_value', '12345'));
  }
  return problems;
}
