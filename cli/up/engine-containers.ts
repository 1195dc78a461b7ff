/** What happens to the containers of this provider when the pool stops or goes: the agent itself leaves them alone. */
import { createDockerEngine } from '../../node-agent/engine/docker-engine.ts';
import { engineErrorKind, type Engine, type ObservedContainer } from '../../node-agent/engine/engine.ts';

const stopGraceSeconds = 10;
/** So many at once. */
const width = 8;

/** Stops what runs and keeps the disks. Answers how many were stopped; 0 also where no engine answers. */
export async function stopContainers(socketPath: string, providerUid: string): Promise<number> {
  const running = (container: ObservedContainer): boolean => container.state === 'running' || container.state === 'paused';
  return await forEach(socketPath, providerUid, running, (engine, { id }) => engine.stopContainer(id, stopGraceSeconds));
}

/** Removes every container of the provider with its disk. Answers how many. */
export async function removeContainers(socketPath: string, providerUid: string): Promise<number> {
  return await forEach(
    socketPath,
    providerUid,
    () => true,
    (engine, { id }) => engine.removeContainer(id),
  );
}

async function forEach(
  socketPath: string,
  providerUid: string,
  fits: (container: ObservedContainer) => boolean,
  act: (engine: Engine, container: ObservedContainer) => Promise<void>,
): Promise<number> {
  const engine = createDockerEngine(socketPath);
  const containers = await engine.listContainers(providerUid).catch((error: unknown) => {
    if (engineErrorKind(error) === 'unavailable') return [];
    throw error;
  });
  const due = containers.filter(fits);
  const queue = due.values();
  const work = async (): Promise<void> => {
    for (const container of queue) await act(engine, container);
  };
  await Promise.all(Array.from({ length: width }, work));
  return due.length;
}
