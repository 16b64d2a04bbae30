export async function getServerSideProps() {
  return { props: { now: Date.now() } };
}

export default function Orders({ now }) {
  return <p>{now}</p>;
}
