import assert from 'node:assert/strict';
import { silentLogger } from './logger.ts';
import { createMetrics, startMetricsServer } from './metrics.ts';

describe('the metrics server', () => {
  it('serves the registry at /metrics and nothing else', async () => {
    const { registry } = createMetrics();
    const server = await startMetricsServer({ host: '127.0.0.1', port: 0, registry, logger: silentLogger });
    try {
      const response = await fetch(`http://127.0.0.1:${server.port}/metrics`);
      assert.equal(response.status, 200);
      assert.match(await response.text(), /^process_resident_memory_bytes \d+/m);
      assert.equal((await fetch(`http://127.0.0.1:${server.port}/`)).status, 404);
    } finally {
      await server.close();
      registry.clear();
    }
  });

  it('says with a remedy that its port is taken', async () => {
    const { registry } = createMetrics();
    const options = { host: '127.0.0.1', registry, logger: silentLogger };
    const server = await startMetricsServer({ ...options, port: 0 });
    try {
      await assert.rejects(startMetricsServer({ ...options, port: server.port }), { name: 'UserError', code: 'PLK001' });
    } finally {
      await server.close();
      registry.clear();
    }
  });
});
