import { useState } from 'preact/hooks'
import { locale, t } from '../i18n.ts'
import { client, enter } from '../state/session.ts'
import { Button } from '../ui/button.tsx'
import { Field, Form } from '../ui/field.tsx'
import { Problem } from '../ui/problem.tsx'
import type { NewAccount } from './problems.ts'
import { useSending } from './sending.ts'

/** For who has none yet. */
export function SignUpForm() {
  const [filled, setFilled] = useState<NewAccount>({ email: '', username: '', password: '', displayName: '' })
  const { isBusy, problem, problems, send } = useSending()
  const fill = (field: keyof NewAccount) => ({
    value: filled[field],
    problem: problems[field],
    onValue: (value: string) => setFilled({ ...filled, [field]: value }),
  })
  const begin = () => {
    const { displayName, ...others } = filled
    const name = displayName.trim()
    const account = { ...others, email: filled.email.trim(), username: filled.username.trim(), locale: locale.value }
    return send(() => enter(client.register({ ...account, ...(name !== '' && { displayName: name }) })), filled)
  }
  return (
    <Form label={t('signIn:signUp')} onSend={begin}>
      <Field
        {...fill('email')}
        label={t('signIn:email')}
        type="email"
        name="email"
        autocomplete="email"
        maxLength={254}
        isRequired
      />
      <Field
        {...fill('username')}
        label={t('signIn:username')}
        name="username"
        autocomplete="username"
        hint={t('signIn:usernameHint')}
        maxLength={32}
        isRequired
      />
      <Field
        {...fill('displayName')}
        label={t('signIn:displayName')}
        name="nickname"
        autocomplete="nickname"
        hint={t('signIn:displayNameHint')}
        maxLength={64}
      />
      <Field
        {...fill('password')}
        label={t('signIn:password')}
        type="password"
        name="password"
        autocomplete="new-password"
        hint={t('signIn:passwordHint')}
        maxLength={200}
        isRequired
      />
      <Problem text={problem} />
      <Button kind="primary" type="submit" disabled={isBusy}>
        {t('signIn:signUp')}
      </Button>
    </Form>
  )
}
