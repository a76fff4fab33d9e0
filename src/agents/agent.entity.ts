import { defineEntity, p } from '@mikro-orm/core'
import { AiModel } from '../billing/plan.entity.ts'
import { createdAtColumn, idColumn, timestamp, updatedAtColumn } from '../database/base.entity.ts'
import { User } from '../identity/user.entity.ts'

/**
 * What makes a user of kind agent one: a built-in agent is run by the server on a model, an external one is a program
 * that connects with a key. `users.private_to` says whether others find it.
 */
export const Agent = defineEntity({
  name: 'Agent',
  tableName: 'agents',
  properties: {
    user: () => p.manyToOne(User).primary().deleteRule('cascade'),
    /** Null: the server's own. */
    owner: () => p.manyToOne(User).joinColumn('owner_id').nullable().deleteRule('cascade'),
    kind: p.enum(['built_in', 'external'] as const),
    description: p.text().nullable(),
    /** Null: the server's standard model. External agents have none. */
    model: () => p.manyToOne(AiModel).joinColumn('model_id').nullable().deleteRule('set null'),
    systemPrompt: p.text().nullable(),
    temperature: p.decimal('number').precision(3).scale(2).nullable(),
    maxOutputTokens: p.integer().nullable(),
    ...createdAtColumn,
    ...updatedAtColumn,
  },
  checks: [
    { name: 'agents_figures_check', expression: 'temperature >= 0 and temperature <= 2 and max_output_tokens > 0' },
  ],
  indexes: [{ name: 'agents_owner', properties: ['owner'] }],
})

/** What an external agent connects with; several, so that one can be exchanged without a pause. */
export const AgentKey = defineEntity({
  name: 'AgentKey',
  tableName: 'agent_keys',
  properties: {
    ...idColumn,
    agent: () => p.manyToOne(Agent).joinColumn('agent_id').deleteRule('cascade'),
    /** SHA-256 of the key. */
    keyHash: p.blob().unique('agent_keys_key_hash_unique'),
    name: p.text().nullable(),
    lastUsedAt: timestamp().nullable(),
    revokedAt: timestamp().nullable(),
    ...createdAtColumn,
  },
  indexes: [{ name: 'agent_keys_agent', properties: ['agent'] }],
})
