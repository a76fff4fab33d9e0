import { type RawBuilder, sql } from 'kysely'
import type { MediaUrls } from '../kernel/ports.ts'
import type { Agent, AgentKey } from './agents.contract.ts'
import type { AgentKind } from './agents.policy.ts'

/** What the presenter reads of an agent; times as the driver gives them. */
export interface AgentRow {
  id: string
  kind: AgentKind
  username: string
  displayName: string
  avatarId: string | null
  ownerId: string | null
  isPublic: boolean
  description: string | null
  modelId: string | null
  systemPrompt: string | null
  temperature: number | null
  maxOutputTokens: number | null
  createdAt: string
}

/** Of the tables `agents` named `a` and `users` named `u`; texts through JSON, which keeps a byte order mark at their head. */
export const agentColumns: RawBuilder<AgentRow> = sql`
  u.id, a.kind, u.username, u.display_name as "displayName", u.avatar_id as "avatarId",
  a.owner_id as "ownerId", u.private_to is null as "isPublic", to_json(a.description) as description, a.model_id as "modelId",
  to_json(a.system_prompt) as "systemPrompt", a.temperature::float8 as temperature,
  a.max_output_tokens as "maxOutputTokens", a.created_at as "createdAt"`

/** An agent as this viewer sees it: what it is told beforehand is its owner's alone. */
export const presentAgent = (row: AgentRow, viewerId: string, urls: MediaUrls): Agent => ({
  ...factsOf(row),
  ...(row.avatarId !== null && { avatarUrl: urls.of(row.avatarId, 'thumbnail') }),
  ...(row.systemPrompt !== null && row.ownerId === viewerId && { systemPrompt: row.systemPrompt }),
})

/** An agent in the export of its owner's data, where no address would be good for long. */
export const presentOwnAgent = (row: AgentRow) => ({
  ...factsOf(row),
  ...(row.avatarId !== null && { avatarId: row.avatarId }),
  ...(row.systemPrompt !== null && { systemPrompt: row.systemPrompt }),
})

const factsOf = (row: AgentRow) => ({
  id: row.id,
  kind: row.kind,
  username: row.username,
  displayName: row.displayName,
  ...(row.ownerId !== null && { ownerId: row.ownerId }),
  isPublic: row.isPublic,
  ...(row.description !== null && { description: row.description }),
  ...(row.modelId !== null && { modelId: row.modelId }),
  ...(row.temperature !== null && { temperature: row.temperature }),
  ...(row.maxOutputTokens !== null && { maxOutputTokens: row.maxOutputTokens }),
  createdAt: iso(row.createdAt),
})

/** What the presenter reads of a key. */
export interface KeyRow {
  id: string
  name: string | null
  createdAt: string
  lastUsedAt: string | null
  revokedAt: string | null
}

/** Of the table `agent_keys`. */
export const keyColumns: RawBuilder<KeyRow> = sql`
  id, to_json(name) as name, created_at as "createdAt", last_used_at as "lastUsedAt", revoked_at as "revokedAt"`

export const presentKey = (row: KeyRow): AgentKey => ({
  id: row.id,
  ...(row.name !== null && { name: row.name }),
  createdAt: iso(row.createdAt),
  ...(row.lastUsedAt !== null && { lastUsedAt: iso(row.lastUsedAt) }),
  ...(row.revokedAt !== null && { revokedAt: iso(row.revokedAt) }),
})

const iso = (time: string): string => new Date(time).toISOString()
