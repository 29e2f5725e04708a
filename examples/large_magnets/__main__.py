from examples.large_magnets import main

main()
