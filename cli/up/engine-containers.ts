/** What happens to the containers of this provider when the pool goes for good: the agent itself leaves them alone. */
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { engineErrorKind } from '../../node-agent/engine/engine.ts';

/** So many at once. */
const width = 8;

/** Removes every container of the provider with its disk. Answers how many; 0 also where no engine answers. */
export async function removeContainers(socketPath: string, providerUid: string): Promise<number> {
  const engine = createDockerEngine(socketPath);
  const containers = await engine.listContainers(providerUid).catch((error: unknown) => {
    if (engineErrorKind(error) === 'unavailable') return [];
    throw error;
  });
  const queue = containers.values();
  const work = async (): Promise<void> => {
    for (const { id } of queue) await engine.removeContainer(id);
  };
  await Promise.all(Array.from({ length: width }, work));
  return containers.length;
}
