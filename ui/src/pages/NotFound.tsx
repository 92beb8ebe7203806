import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { Page } from '../components/Page';
import { Empty } from '../components/States';

export function NotFound({ what }: { what: string }) {
  const { t } = useTranslation();
  return (
    <Page title={t('problem.notFound')}>
      <Empty title={t('problem.notFoundDetail', { what })}>
        <Button variant="default" renderRoot={(props) => <Link to="/" {...props} />}>
          {t('problem.home')}
        </Button>
      </Empty>
    </Page>
  );
}
