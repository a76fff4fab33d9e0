import { Migration } from '@mikro-orm/migrations'

/** Plans, wallets and their ledger, subscriptions, payments, usage and referrals. */
export class Migration20261121140000_billing extends Migration {
  override up(): void {
    for (const statement of [...catalogue, ...wallets, ...payments, ...usage, ...referrals, ...functions, ...seeds]) {
      this.addSql(statement)
    }
  }
}

const touched = (table: string): string =>
  `create trigger ${table}_updated_at before update on ${table}
    for each row execute function update_updated_at_column()`

const catalogue = [
  `create table plans (
    code text not null,
    name text not null,
    tokens_per_window bigint null,
    window_hours int not null default 6,
    monthly_credits bigint not null default 0,
    price_monthly int not null,
    price_yearly int not null,
    currency text not null default 'USD',
    stripe_price_monthly_id text null,
    stripe_price_yearly_id text null,
    is_active boolean not null default true,
    sort_order int not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (code),
    constraint plans_figures_check check (
      tokens_per_window >= 0 and window_hours > 0 and monthly_credits >= 0 and price_monthly >= 0 and price_yearly >= 0
    )
  )`,
  touched('plans'),

  `create table pricing_tiers (
    id text not null,
    kind text not null,
    name text not null,
    credits bigint null,
    photo_count int null,
    price_usd int not null,
    price_rub int null,
    price_stars int null,
    price_nanoton bigint null,
    is_popular boolean not null default false,
    is_active boolean not null default true,
    sort_order int not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (id),
    constraint pricing_tiers_kind_check check (
      -- coalesced, since a check lets pass what is unknown
      kind = 'credits' and coalesce(credits, 0) > 0 and photo_count is null
      or kind = 'photos' and coalesce(photo_count, 0) > 0 and credits is null
    ),
    constraint pricing_tiers_price_check check (
      price_usd > 0 and price_rub > 0 and price_stars > 0 and price_nanoton > 0
    )
  )`,
  touched('pricing_tiers'),

  `create table ai_models (
    id text not null,
    provider text not null,
    label text not null,
    context_window int not null,
    input_price numeric(12,4) not null,
    output_price numeric(12,4) not null,
    is_active boolean not null default true,
    sort_order int not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (id),
    constraint ai_models_figures_check check (context_window > 0 and input_price >= 0 and output_price >= 0)
  )`,
  touched('ai_models'),
]

const wallets = [
  `create table wallets (
    user_id uuid not null,
    plan_code text not null default 'basic',
    plan_until timestamptz null,
    paid_until timestamptz null,
    credits bigint not null default 0,
    held bigint not null default 0,
    lifetime_credits bigint not null default 0,
    overage_enabled boolean not null default false,
    overage_count int not null default 0,
    tokens_used bigint not null default 0,
    tokens_reset_at timestamptz null,
    period_credits_allocated bigint not null default 0,
    period_credits_used bigint not null default 0,
    period_anchor timestamptz null,
    period_start timestamptz null,
    period_end timestamptz null,
    last_seq int not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (user_id),
    constraint wallets_balance_check check (credits >= 0 and held >= 0 and held <= credits),
    constraint wallets_counters_check check (
      period_credits_allocated >= 0 and period_credits_used >= 0 and tokens_used >= 0 and overage_count >= 0
    ),
    constraint wallets_user_id_foreign foreign key (user_id) references users (id) on delete cascade,
    constraint wallets_plan_code_foreign foreign key (plan_code) references plans (code) on delete restrict
  ) with (fillfactor = 70)`,
  touched('wallets'),
  'create index wallets_period_end on wallets (period_end) where period_end is not null',
  'create index wallets_plan_until on wallets (plan_until) where plan_until is not null',

  `create table usage_logs (
    id uuid not null,
    user_id uuid null,
    ip text null,
    browser_fingerprint bytea null,
    conversation_id uuid null,
    models_used text[] not null,
    models_requested int not null,
    models_successful int not null,
    models_failed int not null,
    input_length int not null default 0,
    processing_time_ms int not null default 0,
    input_tokens bigint not null,
    output_tokens bigint not null,
    total_tokens bigint not null,
    effective_tokens bigint not null,
    credits_used bigint not null default 0,
    actual_cost numeric(12,4) not null,
    estimated_cost numeric(12,4) not null,
    is_overage boolean not null default false,
    overage_charge numeric(12,4) not null default 0,
    model_usage jsonb not null default '[]',
    created_at timestamptz not null default now(),
    primary key (id),
    constraint usage_logs_user_id_foreign foreign key (user_id) references users (id) on delete set null
  )`,
  'create index usage_logs_user on usage_logs (user_id, created_at)',
  'create index usage_logs_created on usage_logs (created_at)',

  `create table credit_transactions (
    id uuid not null,
    user_id uuid not null,
    seq int not null,
    type text not null,
    amount bigint not null,
    balance_after bigint not null,
    payment_id uuid null,
    service_id uuid null,
    result_id uuid null,
    usage_log_id uuid null,
    operation_key text not null,
    description text null,
    created_at timestamptz not null,
    primary key (id),
    constraint credit_transactions_operation_key_unique unique (operation_key),
    constraint credit_transactions_user_id_seq_unique unique (user_id, seq),
    constraint credit_transactions_balance_check check (balance_after >= 0),
    constraint credit_transactions_type_check check (
      type in ('allocation', 'charge', 'refund', 'referral') and amount > 0
      or type in ('use', 'expiration') and amount < 0
      or type = 'adjustment' and amount <> 0
    ),
    constraint credit_transactions_user_id_foreign foreign key (user_id) references users (id) on delete restrict,
    constraint credit_transactions_usage_log_id_foreign foreign key (usage_log_id)
      references usage_logs (id) on delete set null
  )`,
  'create index credit_transactions_payment on credit_transactions (payment_id) where payment_id is not null',
  'create index credit_transactions_usage_log on credit_transactions (usage_log_id) where usage_log_id is not null',

  `create table credit_holds (
    id uuid not null,
    user_id uuid not null,
    amount bigint not null,
    captured bigint not null default 0,
    status text not null default 'held',
    operation_key text not null,
    description text null,
    expires_at timestamptz not null,
    resolved_at timestamptz null,
    created_at timestamptz not null,
    primary key (id),
    constraint credit_holds_operation_key_unique unique (operation_key),
    constraint credit_holds_amount_check check (amount > 0 and captured >= 0 and captured <= amount),
    constraint credit_holds_status_check check (
      status = 'held' and captured = 0 and resolved_at is null
      or status = 'captured' and captured > 0 and resolved_at is not null
      or status = 'released' and captured = 0 and resolved_at is not null
    ),
    constraint credit_holds_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,
  "create index credit_holds_open on credit_holds (expires_at) where status = 'held'",
  'create index credit_holds_user on credit_holds (user_id)',

  `create table meter_reservations (
    id uuid not null,
    user_id uuid not null,
    status text not null default 'open',
    tokens bigint not null,
    window_reset_at timestamptz not null,
    hold_id uuid null,
    estimated_cost numeric(12,4) not null,
    usage_log_id uuid null,
    charged_tokens bigint null,
    charged_credits bigint null,
    expires_at timestamptz not null,
    resolved_at timestamptz null,
    created_at timestamptz not null,
    primary key (id),
    constraint meter_reservations_status_check check (status in ('open', 'settled', 'cancelled')),
    constraint meter_reservations_resolved_check check (
      (status = 'open') = (resolved_at is null) and (status = 'settled') = (charged_tokens is not null)
      and (status = 'settled') = (charged_credits is not null)
    ),
    constraint meter_reservations_tokens_check check (tokens >= 0 and charged_tokens >= 0 and charged_credits >= 0),
    constraint meter_reservations_user_id_foreign foreign key (user_id) references users (id) on delete cascade,
    constraint meter_reservations_hold_id_foreign foreign key (hold_id) references credit_holds (id) on delete set null,
    constraint meter_reservations_usage_log_id_foreign foreign key (usage_log_id)
      references usage_logs (id) on delete set null
  )`,
  "create index meter_reservations_open on meter_reservations (expires_at) where status = 'open'",
  'create index meter_reservations_user on meter_reservations (user_id)',
  'create index meter_reservations_usage_log on meter_reservations (usage_log_id) where usage_log_id is not null',

  `create table idempotency_keys (
    user_id uuid not null,
    operation text not null,
    key text not null,
    request_hash bytea not null,
    subject_id uuid null,
    response jsonb null,
    performing_until timestamptz null,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    primary key (user_id, operation, key),
    constraint idempotency_keys_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,
  'create index idempotency_keys_expires on idempotency_keys (expires_at)',
]

const payments = [
  `create table subscriptions (
    id uuid not null,
    user_id uuid not null,
    plan_code text not null,
    status text not null,
    period text not null,
    stripe_subscription_id text not null,
    current_period_start timestamptz not null,
    current_period_end timestamptz not null,
    auto_renew boolean not null default true,
    past_due_since timestamptz null,
    cancelled_at timestamptz null,
    next_plan_code text null,
    next_period text null,
    read_at timestamptz not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (id),
    constraint subscriptions_stripe_subscription_id_unique unique (stripe_subscription_id),
    constraint subscriptions_status_check check (
      status in ('active', 'trialing', 'past_due', 'unpaid', 'cancelled', 'expired')
    ),
    constraint subscriptions_period_check check (period in ('monthly', 'yearly')),
    constraint subscriptions_next_period_check check (next_period in ('monthly', 'yearly')),
    constraint subscriptions_user_id_foreign foreign key (user_id) references users (id) on delete restrict,
    constraint subscriptions_plan_code_foreign foreign key (plan_code) references plans (code) on delete restrict,
    constraint subscriptions_next_plan_code_foreign foreign key (next_plan_code) references plans (code)
      on delete restrict
  )`,
  'create index subscriptions_user on subscriptions (user_id)',
  touched('subscriptions'),

  `create table subscription_history (
    id uuid not null,
    user_id uuid not null,
    subscription_id uuid not null,
    previous_plan text null,
    new_plan text not null,
    period text not null,
    amount int not null default 0,
    currency text not null,
    stripe_payment_id text null,
    reason text not null,
    operation_key text not null,
    created_at timestamptz not null,
    primary key (id),
    constraint subscription_history_operation_key_unique unique (operation_key),
    constraint subscription_history_reason_check check (
      reason in ('initial', 'upgrade', 'downgrade', 'renewal', 'cancellation', 'payment_failed', 'recovery', 'expiry')
    ),
    constraint subscription_history_user_id_foreign foreign key (user_id) references users (id) on delete restrict,
    constraint subscription_history_subscription_id_foreign foreign key (subscription_id)
      references subscriptions (id) on delete restrict
  )`,
  'create index subscription_history_user on subscription_history (user_id, created_at)',

  `create table payments (
    id uuid not null,
    user_id uuid not null,
    provider text not null,
    provider_payment_id text null,
    purpose text not null,
    tier_id text null,
    plan_code text null,
    subscription_id uuid null,
    amount bigint not null,
    currency text not null,
    value_usd int not null default 0,
    status text not null default 'pending',
    description text not null,
    credits bigint null,
    photo_count int null,
    url text null,
    details jsonb not null default '{}',
    consumed_at timestamptz null,
    consumed_by uuid null,
    succeeded_at timestamptz null,
    refunded_at timestamptz null,
    created_at timestamptz not null,
    updated_at timestamptz not null default now(),
    primary key (id),
    constraint payments_provider_provider_payment_id_unique unique (provider, provider_payment_id),
    constraint payments_provider_check check (provider in ('stripe', 'tbank', 'stars', 'ton')),
    constraint payments_purpose_check check (purpose in ('subscription', 'credits', 'photos')),
    constraint payments_status_check check (status in ('pending', 'succeeded', 'failed', 'cancelled', 'refunded')),
    constraint payments_amount_check check (amount >= 0 and value_usd >= 0),
    constraint payments_user_id_foreign foreign key (user_id) references users (id) on delete restrict,
    constraint payments_tier_id_foreign foreign key (tier_id) references pricing_tiers (id) on delete restrict,
    constraint payments_plan_code_foreign foreign key (plan_code) references plans (code) on delete restrict,
    constraint payments_subscription_id_foreign foreign key (subscription_id)
      references subscriptions (id) on delete restrict
  )`,
  'create index payments_user on payments (user_id, created_at)',
  "create index payments_pending on payments (provider, created_at) where status = 'pending'",
  touched('payments'),

  `create table provider_events (
    provider text not null,
    event_id text not null,
    type text not null,
    payload jsonb not null,
    received_at timestamptz not null default clock_timestamp(),
    processed_at timestamptz null,
    primary key (provider, event_id)
  )`,
  'create index provider_events_open on provider_events (received_at) where processed_at is null',
]

const usage = [
  `create table usage_log_monthly_aggregates (
    year int not null,
    month int not null,
    total_runs bigint not null,
    total_models_requested bigint not null,
    total_models_successful bigint not null,
    total_models_failed bigint not null,
    total_input_tokens bigint not null,
    total_output_tokens bigint not null,
    total_effective_tokens bigint not null,
    avg_input_tokens numeric(14,2) not null,
    avg_output_tokens numeric(14,2) not null,
    avg_output_ratio numeric(12,4) not null,
    total_credits_used bigint not null,
    avg_credits_per_run numeric(14,4) not null,
    total_actual_cost numeric(14,4) not null,
    total_estimated_cost numeric(14,4) not null,
    model_breakdown jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (year, month),
    constraint usage_log_monthly_aggregates_month_check check (month >= 1 and month <= 12)
  )`,
  touched('usage_log_monthly_aggregates'),
]

const referrals = [
  `create table referral_accounts (
    user_id uuid not null,
    code text not null,
    is_partner boolean not null default false,
    commission_rate numeric(3,2) not null default 0.10,
    partner_approved_at timestamptz null,
    referrals_count int not null default 0,
    balance int not null default 0,
    total_earned int not null default 0,
    currency text not null default 'USD',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (user_id),
    constraint referral_accounts_code_unique unique (code),
    constraint referral_accounts_rate_check check (commission_rate >= 0 and commission_rate <= 1),
    constraint referral_accounts_user_id_foreign foreign key (user_id) references users (id) on delete cascade
  )`,
  touched('referral_accounts'),

  `create table referral_earnings (
    id uuid not null,
    referrer_id uuid not null,
    referred_user_id uuid null,
    payment_id uuid not null,
    amount int not null,
    currency text not null default 'USD',
    commission_rate numeric(3,2) not null,
    status text not null default 'credited',
    reversed_at timestamptz null,
    created_at timestamptz not null,
    primary key (id),
    constraint referral_earnings_payment_id_unique unique (payment_id),
    constraint referral_earnings_status_check check (status in ('credited', 'reversed')),
    constraint referral_earnings_referrer_id_foreign foreign key (referrer_id) references users (id) on delete restrict,
    constraint referral_earnings_referred_user_id_foreign foreign key (referred_user_id)
      references users (id) on delete set null,
    constraint referral_earnings_payment_id_foreign foreign key (payment_id) references payments (id) on delete restrict
  )`,
  'create index referral_earnings_referrer on referral_earnings (referrer_id, created_at)',

  `create table withdrawal_requests (
    id uuid not null,
    user_id uuid not null,
    amount int not null,
    currency text not null default 'USD',
    method text not null,
    details jsonb not null,
    status text not null default 'pending',
    reason text null,
    processed_by uuid null,
    processed_at timestamptz null,
    created_at timestamptz not null,
    primary key (id),
    constraint withdrawal_requests_amount_check check (amount > 0),
    constraint withdrawal_requests_method_check check (method in ('card', 'bank', 'wallet')),
    constraint withdrawal_requests_status_check check (status in ('pending', 'approved', 'rejected', 'completed')),
    constraint withdrawal_requests_user_id_foreign foreign key (user_id) references users (id) on delete restrict,
    constraint withdrawal_requests_processed_by_foreign foreign key (processed_by)
      references users (id) on delete set null
  )`,
  'create index withdrawal_requests_user on withdrawal_requests (user_id, created_at)',
  'create index withdrawal_requests_status on withdrawal_requests (status, created_at)',

  `create table partner_applications (
    id uuid not null,
    user_id uuid not null,
    contact_name text not null,
    contact_email text not null,
    telegram_username text null,
    audience_size text not null,
    promotion_channels text[] not null,
    status text not null default 'pending',
    reason text null,
    reviewed_by uuid null,
    reviewed_at timestamptz null,
    created_at timestamptz not null,
    primary key (id),
    constraint partner_applications_audience_size_check check (audience_size in ('small', 'medium', 'large')),
    constraint partner_applications_status_check check (status in ('pending', 'approved', 'rejected')),
    constraint partner_applications_user_id_foreign foreign key (user_id) references users (id) on delete cascade,
    constraint partner_applications_reviewed_by_foreign foreign key (reviewed_by)
      references users (id) on delete set null
  )`,
  "create unique index partner_applications_pending_unique on partner_applications (user_id) where status = 'pending'",
  'create index partner_applications_status on partner_applications (status, created_at)',
]

const functions = [
  // The ledger is written once: what was wrong is put right by a further row.
  `create function refuse_ledger_change() returns trigger language plpgsql as $$
  begin
    if tg_op = 'UPDATE' then
      -- a usage log that is cleared away takes only the reference to itself along
      if old.usage_log_id is not null and new.usage_log_id is null then
        new.usage_log_id := old.usage_log_id;
        if new is not distinct from old then
          new.usage_log_id := null;
          return new;
        end if;
      end if;
    end if;
    raise exception 'credit_transactions is append-only' using errcode = 'restrict_violation';
  end $$`,
  `create trigger credit_transactions_append_only before update or delete on credit_transactions
    for each row execute function refuse_ledger_change()`,
  `create trigger credit_transactions_no_truncate before truncate on credit_transactions
    for each statement execute function refuse_ledger_change()`,

  // The one way that a balance moves: the wallet's row is the lock, the operation key makes a repetition harmless.
  // Without a row in return there was not enough.
  `create function post_credits(
    p_user uuid, p_amount bigint, p_type text, p_key text, p_at timestamptz default clock_timestamp(),
    p_description text default null, p_payment uuid default null, p_usage_log uuid default null,
    p_service uuid default null, p_result uuid default null, p_id uuid default gen_random_uuid()
  ) returns table (transaction_id uuid, balance bigint, repeated boolean) language plpgsql as $$
  declare
    w wallets;
    earlier credit_transactions;
  begin
    select * into w from wallets where user_id = p_user for no key update;
    if not found then
      raise exception 'user % has no wallet', p_user using errcode = 'no_data_found';
    end if;
    select * into earlier from credit_transactions where operation_key = p_key;
    if found then
      if earlier.user_id <> p_user or earlier.amount <> p_amount or earlier.type <> p_type
          or earlier.payment_id is distinct from p_payment or earlier.service_id is distinct from p_service
          or earlier.result_id is distinct from p_result then
        raise exception 'operation % was another one', p_key using errcode = 'unique_violation';
      end if;
      return query select earlier.id, earlier.balance_after, true;
      return;
    end if;
    if p_amount < 0 and w.credits - w.held + p_amount < 0 then
      return;
    end if;
    update wallets set
      credits = credits + p_amount,
      lifetime_credits = lifetime_credits + case when p_type in ('allocation', 'charge', 'referral') then p_amount else 0 end,
      -- what a plan gave for the period is spent first, and given back first
      period_credits_used = case
        when p_type = 'use' then
          greatest(period_credits_used, least(period_credits_allocated, period_credits_used - p_amount))
        when p_type = 'refund' then greatest(0, period_credits_used - p_amount)
        else period_credits_used end,
      last_seq = last_seq + 1
      where user_id = p_user;
    insert into credit_transactions (id, user_id, seq, type, amount, balance_after, payment_id, service_id, result_id,
        usage_log_id, operation_key, description, created_at)
      values (p_id, p_user, w.last_seq + 1, p_type, p_amount, w.credits + p_amount, p_payment, p_service, p_result,
        p_usage_log, p_key, p_description, greatest(p_at, (
          select max(t.created_at) from credit_transactions t where t.user_id = p_user and t.seq = w.last_seq)));
    return query select p_id, w.credits + p_amount, false;
  end $$`,

  // Takes credits if there are enough that nothing else holds; no row where there are not.
  `create function deduct_credits(
    p_user uuid, p_amount bigint, p_key text default gen_random_uuid()::text,
    p_description text default null, p_at timestamptz default clock_timestamp()
  ) returns table (transaction_id uuid, balance bigint, repeated boolean) language plpgsql as $$
  begin
    if p_amount <= 0 then
      raise exception 'an amount must be positive' using errcode = 'check_violation';
    end if;
    return query select * from post_credits(p_user, -p_amount, 'use', p_key, p_at, p_description);
  end $$`,
]

const seeds = [
  `insert into plans (code, name, tokens_per_window, monthly_credits, price_monthly, price_yearly, sort_order) values
    ('basic', 'Basic', 100000, 0, 0, 0, 1),
    ('premium_starter', 'Premium Starter', 500000, 1000, 999, 9990, 2),
    ('premium_pro', 'Premium Pro', 2000000, 5000, 2999, 29990, 3),
    ('premium_ultra', 'Premium Ultra', 5000000, 20000, 9999, 99990, 4),
    ('unlimited', 'Unlimited', null, 60000, 29999, 299990, 5)`,
  `insert into pricing_tiers
      (id, kind, name, credits, photo_count, price_usd, price_rub, price_stars, price_nanoton, is_popular, sort_order) values
    ('credits_1000', 'credits', '1,000 credits', 1000, null, 199, 17900, 150, 700000000, false, 1),
    ('credits_5000', 'credits', '5,000 credits', 5000, null, 799, 69900, 600, 2800000000, true, 2),
    ('credits_20000', 'credits', '20,000 credits', 20000, null, 2499, 219900, 1900, 8800000000, false, 3),
    ('photos_starter', 'photos', 'Starter: 7 photos', null, 7, 599, 49900, 450, 2100000000, false, 1),
    ('photos_standard', 'photos', 'Standard: 15 photos', null, 15, 1199, 99900, 900, 4200000000, true, 2),
    ('photos_premium', 'photos', 'Premium: 23 photos', null, 23, 1799, 149900, 1350, 6300000000, false, 3)`,
  `insert into ai_models (id, provider, label, context_window, input_price, output_price, sort_order) values
    ('gpt-4o', 'openai', 'GPT-4o', 128000, 2.50, 10.00, 1),
    ('gpt-4o-mini', 'openai', 'GPT-4o mini', 128000, 0.15, 0.60, 2),
    ('o1', 'openai', 'o1', 200000, 15.00, 60.00, 3),
    ('o3-mini', 'openai', 'o3-mini', 200000, 1.10, 4.40, 4),
    ('claude-3-opus', 'anthropic', 'Claude 3 Opus', 200000, 15.00, 75.00, 5),
    ('gemini-2.5-flash', 'google', 'Gemini 2.5 Flash', 1048576, 0.30, 2.50, 6)`,
  // accounts from before the wallets begin with an empty one
  "insert into wallets (user_id) select id from users where kind = 'human'",
]
