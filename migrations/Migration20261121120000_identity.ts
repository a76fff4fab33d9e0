import { Migration } from '@mikro-orm/migrations'

/** What accounts need beyond a password: codes, identities elsewhere, preferences, activity, exports of one's data. */
export class Migration20261121120000_identity extends Migration {
  override up(): void {
    for (const statement of statements) this.addSql(statement)
  }
}

const statements = [
  `alter table users
    add column permissions jsonb not null default '[]',
    add column stripe_customer_id text null,
    add column mock_mode_enabled boolean not null default false,
    add column profile_changed_at timestamptz null`,
  'alter table users add constraint users_stripe_customer_id_unique unique (stripe_customer_id)',
  'create index users_profile_changed on users (profile_changed_at) where profile_changed_at is not null',

  // tokens of before know no time of login: the first one that is left stands for it
  'alter table refresh_tokens add column logged_in_at timestamptz null',
  `update refresh_tokens t set logged_in_at =
    (select min(f.created_at) from refresh_tokens f where f.family_id = t.family_id)`,
  'alter table refresh_tokens alter column logged_in_at set not null',
  'create index refresh_tokens_expires on refresh_tokens (expires_at)',

  `create table user_identities (
    provider text not null,
    provider_user_id text not null,
    user_id uuid not null,
    profile jsonb not null,
    created_at timestamptz not null default now(),
    primary key (provider, provider_user_id),
    constraint user_identities_user_id_provider_unique unique (user_id, provider),
    constraint user_identities_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,

  `create table one_time_codes (
    id uuid not null,
    user_id uuid not null,
    purpose text not null,
    code_hash bytea not null,
    new_email text null,
    attempts smallint not null default 0,
    expires_at timestamptz not null,
    used_at timestamptz null,
    created_at timestamptz not null default now(),
    primary key (id),
    constraint one_time_codes_purpose_check check (purpose in ('verify_email', 'reset_password', 'change_email')),
    constraint one_time_codes_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,
  'create index one_time_codes_user on one_time_codes (user_id, purpose)',
  'create index one_time_codes_hash on one_time_codes (code_hash)',

  `create table user_preferences (
    user_id uuid not null,
    preferred_models text[] not null default '{}',
    theme text not null default 'light',
    email_notifications boolean not null default true,
    usage_alerts boolean not null default true,
    timezone text not null default 'UTC',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (user_id),
    constraint user_preferences_theme_check check (theme in ('light', 'dark')),
    constraint user_preferences_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,
  `create trigger user_preferences_updated_at before update on user_preferences
    for each row execute function update_updated_at_column()`,

  `create table user_activity (
    user_id uuid not null,
    day date not null,
    created_at timestamptz not null default now(),
    primary key (user_id, day),
    constraint user_activity_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,
  'create index user_activity_day on user_activity (day)',

  `create table data_exports (
    id uuid not null,
    user_id uuid not null,
    status text not null default 'queued',
    completed int not null default 0,
    total int not null default 0,
    bytes int null,
    finished_at timestamptz null,
    created_at timestamptz not null default now(),
    primary key (id),
    constraint data_exports_status_check check (status in ('queued', 'running', 'completed', 'failed')),
    constraint data_exports_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,
  'create index data_exports_user on data_exports (user_id, created_at)',

  `create table data_export_parts (
    export_id uuid not null,
    position int not null,
    content bytea not null,
    primary key (export_id, position),
    constraint data_export_parts_export_id_foreign foreign key (export_id) references data_exports (id) on delete cascade
  )`,
]
