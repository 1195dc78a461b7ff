/**
 * The Kubernetes version whose API this server speaks. kubectl's dispatcher picks the client by major and minor, and clients compare
 * `gitVersion` as a semantic version.
 */
export const serverVersion = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.4+potluck',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'node',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};
