import { Migration } from '@mikro-orm/migrations'
import { appendMessages } from './functions/append-messages.ts'

/** Agents that take part in conversations, assistant conversations, and messages that grow. */
export class Migration20261121160000_agents extends Migration {
  override up(): void {
    for (const statement of [...identity, ...messenger, ...agents, appendMessages, ...catalogue]) this.addSql(statement)
  }
}

const identity = [
  'alter table users add column private_to uuid null',
  'create index users_private_to on users (private_to) where private_to is not null',
]

const messenger = [
  `alter table conversations
    add column models text[] null,
    add column system_prompt text null,
    add column parent_id uuid null,
    add column breakout_model_id text null,
    add column has_agents boolean not null default false`,

  `alter table messages
    add column model_id text null,
    add column input_tokens int null,
    add column output_tokens int null,
    add column credits bigint null,
    add column processing_time_ms int null,
    add column error_code text null`,

  `create table message_triggers (
    conversation_id uuid not null,
    seq int not null,
    answerer text not null default '',
    message_id uuid not null,
    requested_by uuid null,
    created_at timestamptz not null default now(),
    primary key (conversation_id, seq, answerer),
    constraint message_triggers_conversation_id_foreign foreign key (conversation_id)
      references conversations (id) on delete cascade,
    constraint message_triggers_requested_by_foreign foreign key (requested_by)
      references users (id) on delete set null
  )`,
  'create index message_triggers_created on message_triggers (created_at)',
]

const agents = [
  `create table agents (
    user_id uuid not null,
    owner_id uuid null,
    kind text not null,
    description text null,
    model_id text null,
    system_prompt text null,
    temperature numeric(3,2) null,
    max_output_tokens int null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (user_id),
    constraint agents_kind_check check (kind in ('built_in', 'external')),
    constraint agents_figures_check check (temperature >= 0 and temperature <= 2 and max_output_tokens > 0),
    constraint agents_user_id_foreign foreign key (user_id) references users (id)
      on update cascade on delete cascade,
    constraint agents_owner_id_foreign foreign key (owner_id) references users (id) on delete cascade,
    constraint agents_model_id_foreign foreign key (model_id) references ai_models (id) on delete set null
  )`,
  'create index agents_owner on agents (owner_id)',
  `create trigger agents_updated_at before update on agents
    for each row execute function update_updated_at_column()`,

  `create table agent_keys (
    id uuid not null,
    agent_id uuid not null,
    key_hash bytea not null,
    name text null,
    last_used_at timestamptz null,
    revoked_at timestamptz null,
    created_at timestamptz not null default now(),
    primary key (id),
    constraint agent_keys_key_hash_unique unique (key_hash),
    constraint agent_keys_agent_id_foreign foreign key (agent_id) references agents (user_id) on delete cascade
  )`,
  'create index agent_keys_agent on agent_keys (agent_id)',

  `create table agent_runs (
    conversation_id uuid not null,
    message_id uuid not null,
    kind text not null,
    agent_id uuid null,
    model_id text null,
    answerer text not null,
    requested_by uuid null,
    client_id text null,
    trigger_seq int not null,
    pending_seq int null,
    status text not null default 'running',
    epoch int not null default 1,
    node_id text null,
    lease_until timestamptz not null,
    reservation_id uuid null,
    saved_length int not null default 0,
    tokens int not null default 0,
    stop_requested_at timestamptz null,
    finished_at timestamptz null,
    created_at timestamptz not null,
    primary key (conversation_id, message_id),
    constraint agent_runs_kind_check check (kind in ('built_in', 'external')),
    constraint agent_runs_status_check check (status in ('running', 'succeeded', 'failed', 'cancelled')),
    constraint agent_runs_finished_check check ((status = 'running') = (finished_at is null)),
    constraint agent_runs_conversation_id_message_id_foreign foreign key (conversation_id, message_id)
      references messages (conversation_id, id) on update cascade on delete cascade,
    constraint agent_runs_agent_id_foreign foreign key (agent_id) references users (id) on delete set null,
    constraint agent_runs_requested_by_foreign foreign key (requested_by) references users (id) on delete set null,
    constraint agent_runs_reservation_id_foreign foreign key (reservation_id)
      references meter_reservations (id) on delete set null
  )`,
  'create unique index agent_runs_client_id on agent_runs (conversation_id, requested_by, client_id)',
  `create unique index agent_runs_open on agent_runs (conversation_id, answerer) where status = 'running'`,
  `create index agent_runs_lease on agent_runs (lease_until) where status = 'running'`,
  'create index agent_runs_recent on agent_runs (conversation_id, created_at)',
]

const catalogue = [
  `insert into ai_models (id, provider, label, context_window, input_price, output_price) values
    ('offline', 'offline', 'Offline', 32000, 0, 0)`,
]
