import { defineEntity, p } from '@mikro-orm/core'
import { MeterReservation } from '../billing/meter.entity.ts'
import { timestamp } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'
import { Message } from '../messenger/message.entity.ts'

/**
 * An answer that is being written, and how it ended. Whoever writes it holds a lease under an epoch; who takes over an
 * expired lease raises the epoch, and from then on the former holder changes nothing.
 */
export const AgentRun = defineEntity({
  name: 'AgentRun',
  tableName: 'agent_runs',
  properties: {
    message: () => p.manyToOne(Message).joinColumns('conversation_id', 'message_id').primary().deleteRule('cascade'),
    kind: p.enum(['built_in', 'external'] as const),
    /** Null: a model answers in its own name, in an assistant conversation. */
    agent: () => p.manyToOne(User).joinColumn('agent_id').nullable().deleteRule('set null'),
    /** The model that answers; null: an external agent. */
    modelId: p.text().nullable(),
    /** The agent's or else the model's id: of one there is at most one open run in a conversation. */
    answerer: p.text(),
    /** Who pays; null: nobody does, or the row of who did is gone. */
    requestedBy: () => p.manyToOne(User).joinColumn('requested_by').nullable().deleteRule('set null'),
    /** Of a regeneration: the same one gives the same run. */
    clientId: p.text().nullable(),
    /** The message that it answers. */
    triggerSeq: p.integer(),
    /** The latest message that asked meanwhile: it is answered when this run has ended. */
    pendingSeq: p.integer().nullable(),
    status: p.enum(['running', 'succeeded', 'failed', 'cancelled'] as const).default('running'),
    epoch: p.integer().default(1),
    nodeId: p.text().nullable(),
    leaseUntil: timestamp(),
    /** What the meter has set aside for it. */
    reservation: () => p.manyToOne(MeterReservation).joinColumn('reservation_id').nullable().deleteRule('set null'),
    /** UTF-16 units of the text that are stored. */
    savedLength: p.integer().default(0),
    /** Input and output together, of what was charged; for the limit of the conversation. */
    tokens: p.integer().default(0),
    stopRequestedAt: timestamp().nullable(),
    finishedAt: timestamp().nullable(),
    createdAt: timestamp(),
  },
  checks: [{ name: 'agent_runs_finished_check', expression: "(status = 'running') = (finished_at is null)" }],
  uniques: [
    {
      name: 'agent_runs_client_id',
      expression: 'create unique index agent_runs_client_id on agent_runs (conversation_id, requested_by, client_id)',
    },
    {
      name: 'agent_runs_open',
      expression:
        "create unique index agent_runs_open on agent_runs (conversation_id, answerer) where status = 'running'",
    },
  ],
  indexes: [
    {
      name: 'agent_runs_lease',
      expression: "create index agent_runs_lease on agent_runs (lease_until) where status = 'running'",
    },
    {
      name: 'agent_runs_recent',
      expression: 'create index agent_runs_recent on agent_runs (conversation_id, created_at)',
    },
  ],
})
