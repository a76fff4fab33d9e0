import { agentOperation, type Operation, operation, sharedOperation } from '../kernel/operation.ts'
import { runsContract as contract, type RunCommand } from './agents.contract.ts'
import type { ExternalStreams } from './external-streams.service.ts'
import type { RunControl } from './run-control.service.ts'

/** Every operation on answers by its name: socket commands. */
export function runOperations({ control, external }: { control: RunControl; external: ExternalStreams }) {
  return {
    'run:stop': sharedOperation('run:stop', contract['run:stop'], control.stop, 'run'),
    'run:regenerate': operation('run:regenerate', contract['run:regenerate'], control.regenerate, 'run'),
    'run:resume': sharedOperation('run:resume', contract['run:resume'], control.resume, 'read'),
    'stream:start': agentOperation('stream:start', contract['stream:start'], external.start, 'stream'),
    'stream:append': agentOperation('stream:append', contract['stream:append'], external.append, 'stream_append'),
    'stream:finish': agentOperation('stream:finish', contract['stream:finish'], external.finish, 'stream'),
    'stream:fail': agentOperation('stream:fail', contract['stream:fail'], external.fail, 'stream'),
  } satisfies Record<RunCommand, Operation>
}
