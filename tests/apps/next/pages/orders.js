const first = await Promise.resolve(1);

export async function getServerSideProps() {
  return { props: { now: Date.now(), first } };
}

export default function Orders({ now, first }) {
  return (
    <p>
      {first} {now}
    </p>
  );
}
